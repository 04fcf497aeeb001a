// Allocations and frees inside thread_local and pthread key destructors, which run after the thread's own function.
#include <pthread.h>

#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

namespace {

pthread_key_t key;

struct Scratch {
  std::vector<std::string> lines;
  ~Scratch() {
    lines.push_back("allocated while the thread ends, freed a moment later, and too long for the small buffer");
    lines.clear();
  }
};

thread_local Scratch scratch;

void KeyDestructor(void* block) {
  std::free(block);
  (void)!std::malloc(19);
}

void Work(int n) {
  for (int i = 0; i < n; ++i) scratch.lines.push_back(std::string(static_cast<size_t>(i) + 40, 'x'));
  pthread_setspecific(key, std::malloc(200));
}

}  // namespace

int main() {
  pthread_key_create(&key, KeyDestructor);
  for (int round = 0; round < 10; ++round) {
    std::thread first(Work, 10), second(Work, 50);
    first.join();
    second.join();
  }
  Work(5);
  return 0;
}
