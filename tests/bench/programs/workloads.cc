// Workloads in the classes of the known allocator suites, for scripts/bench: workloads NAME [SCALE]. Each does the same
// work every time and takes some tenths of a second by itself at scale 1; it prints a number that depends on all of it.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <string>
#include <thread>
#include <vector>

namespace {

// xorshift64: cheap enough not to count.
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed * 0x9E3779B97F4A7C15u + 1) {}
  uint64_t operator()() {
    state_ ^= state_ << 13;
    state_ ^= state_ >> 7;
    return state_ ^= state_ << 17;
  }

 private:
  uint64_t state_;
};

// Allocates at the bottom of a recursion of `depth` frames whose return addresses vary with `path`.
[[gnu::noinline]] void* AllocateAt(int depth, uint64_t path, size_t bytes) {
  if (depth == 0) return std::malloc(bytes);
  void* block = (path & 1) != 0 ? AllocateAt(depth - 1, path >> 1, bytes) : AllocateAt(depth - 1, path >> 1, bytes + 1);
  asm volatile("" : "+r"(block));  // no tail call
  return block;
}

// Small blocks of short life from a few call sites of depth 8, as number-crunching and interpreters have them.
uint64_t Churn(double scale) {
  constexpr size_t kLive = 256;
  std::vector<void*> live(kLive);
  Random random(1);
  uint64_t sum = 0;
  for (uint64_t i = 0; i < static_cast<uint64_t>(3e6 * scale); ++i) {
    uint64_t r = random();
    void*& slot = live[r % kLive];
    std::free(slot);
    slot = AllocateAt(8, r >> 62, 16 + (r >> 32) % 100);
    sum += r & 1;
  }
  for (void* block : live) std::free(block);
  return sum;
}

// Twice the work of churn in two threads that have nothing to do with each other: what they share is the profiler's.
uint64_t ChurnTwice(double scale) {
  uint64_t first = 0;
  std::thread other([&] { first = Churn(scale); });
  uint64_t second = Churn(scale);
  other.join();
  return first + second;
}

// Depth 46 with stacks that change at every allocation: the worst case for a profiler that walks.
uint64_t Deep(double scale) {
  Random random(2);
  uint64_t sum = 0;
  for (uint64_t i = 0; i < static_cast<uint64_t>(0.7e6 * scale); ++i) {
    uint64_t r = random();
    void* block = AllocateAt(46, r, 16 + (r & 63));
    sum += r & 1;
    std::free(block);
  }
  return sum;
}

// Two threads that free what the other one allocated, as in a server with a queue.
uint64_t Threads(double scale) {
  constexpr size_t kSlots = 4096;
  static void* slots[2][kSlots];
  auto work = [scale](int self) {
    Random random(static_cast<uint64_t>(self) + 3);
    for (uint64_t i = 0; i < static_cast<uint64_t>(1.5e6 * scale); ++i) {
      uint64_t r = random();
      void* fresh = std::malloc(16 + (r >> 32) % 500);
      std::free(__atomic_exchange_n(&slots[(r >> 60) & 1][r % kSlots], fresh, __ATOMIC_ACQ_REL));
    }
  };
  std::thread other(work, 1);
  work(0);
  other.join();
  return 0;
}

// Strings and maps that come and go, some thousand live.
uint64_t Containers(double scale) {
  std::map<uint64_t, std::string> words;
  Random random(4);
  uint64_t sum = 0;
  for (uint64_t i = 0; i < static_cast<uint64_t>(0.7e6 * scale); ++i) {
    uint64_t r = random();
    words[r % 5000] = std::string((r >> 40) % 200, 'w');
    if ((r >> 20) % 3 == 0) words.erase(r % 4999);
    sum += words.size() & 1;
  }
  return sum;
}

// A heap that only grows: some 700,000 live blocks at the end.
uint64_t Growing(double scale) {
  std::vector<void*> live;
  Random random(5);
  for (uint64_t i = 0; i < static_cast<uint64_t>(2e6 * scale); ++i) {
    uint64_t r = random();
    void* block = AllocateAt(4, r >> 62, 16 + (r >> 32) % 60);
    if (i % 3 == 0) live.push_back(block);
    else std::free(block);
  }
  return live.size();
}

struct Workload {
  const char* name;
  uint64_t (*run)(double scale);
};
constexpr Workload kWorkloads[] = {
    {"churn", Churn}, {"churn2", ChurnTwice}, {"deep", Deep}, {"threads", Threads}, {"containers", Containers}, {"growing", Growing}};

}  // namespace

int main(int argc, char** argv) {
  double scale = argc > 2 ? std::atof(argv[2]) : 1;
  for (const Workload& workload : kWorkloads) {
    if (argc < 2 || std::strcmp(argv[1], workload.name) != 0) continue;
    std::printf("%llu\n", static_cast<unsigned long long>(workload.run(scale)));
    return 0;
  }
  std::fprintf(stderr, "usage: workloads churn|churn2|deep|threads|containers|growing [SCALE]\n");
  return 2;
}
