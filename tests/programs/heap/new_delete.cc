// Every form of operator new and delete: plain, array, nothrow, sized, aligned, placement, a throwing constructor.
#include <cstdint>
#include <new>
#include <stdexcept>
#include <vector>

namespace {

struct alignas(256) Wide {
  char bytes[256];
};

struct Throws {
  char bytes[88];
  Throws() { throw std::runtime_error("as it should"); }
};

template <typename T>
void Keep(T* pointer) {
  static std::vector<void*> kept(64);
  kept[reinterpret_cast<uintptr_t>(pointer) % 64] = pointer;
}

}  // namespace

int main() {
  for (int i = 0; i < 10; ++i) {
    Keep(new int(i));
    Keep(new char[static_cast<size_t>(i) * 31 + 1]);
    Keep(new (std::nothrow) double[9]);
    Keep(new Wide);
    delete new Wide;
    delete[] new Wide[3];
    ::operator delete(::operator new(72), static_cast<size_t>(72));
    try {
      Keep(new Throws);
    } catch (const std::runtime_error&) {
    }
  }
  return 0;
}
