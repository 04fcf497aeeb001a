// What a frame costs: this unwinder cold, warm and along known paths, beside libunwind's two ways. Prints nanoseconds a
// frame, the least of several rounds; no assertion (machines differ), the targets are in the column heads.
#define UNW_LOCAL_ONLY
#include <libunwind.h>
#include <sys/mman.h>
#include <time.h>

#include <cstdint>
#include <cstdio>
#include <initializer_list>

#include "preload/unwind/path_cache.h"
#include "preload/unwind/unwinder.h"

namespace {

using namespace leakhunt::unwind;

constexpr uint32_t kMost = 200;

uint64_t Now() {
  timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return static_cast<uint64_t>(t.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(t.tv_nsec);
}

struct Costs {
  uint32_t frames = 0;
  double warm = 0, known_same = 0, known_changing = 0, step = 0, backtrace = 0;
};

template <typename Body>
double NsPer(uint32_t frames, Body body) {
  double best = 1e9;
  for (int round = 0; round < 15; ++round) {
    uint64_t from = Now();
    for (int i = 0; i < 300; ++i) body();
    double ns = static_cast<double>(Now() - from) / 300 / frames;
    if (ns < best) best = ns;
  }
  return best;
}

alignas(PathCache) char g_path_memory[sizeof(PathCache)];
PathCache* const g_paths = reinterpret_cast<PathCache*>(g_path_memory);
StackLimits g_limits;

// As the recorder uses it: a stack met again needs nothing but its word.
[[gnu::always_inline]] inline WalkResult Known(const Registers& start, uint64_t* pcs) {
  uint32_t* known;
  WalkResult result = WalkKnown(start, g_limits, g_paths, pcs, kMost, &known);
  if (known != nullptr) *known = 1;
  return result;
}

[[gnu::noinline]] void Measure(Costs* costs) {
  uint64_t pcs[kMost];
  void* addresses[kMost];
  Registers start;
  CaptureCaller(&start);
  costs->frames = Walk(start, g_limits, pcs, kMost).frames;
  uint32_t n = costs->frames;
  costs->warm = NsPer(n, [&] { Walk(start, g_limits, pcs, kMost); });
  costs->known_same = NsPer(n, [&] { Known(start, pcs); });
  costs->backtrace = NsPer(n, [&] { unw_backtrace(addresses, kMost); });
  costs->step = NsPer(n, [&] {
    unw_context_t context;
    unw_cursor_t cursor;
    unw_getcontext(&context);
    unw_init_local(&cursor, &context);
    for (uint32_t i = 0; i < kMost && unw_step(&cursor) > 0; ++i) {
      unw_word_t pc;
      unw_get_reg(&cursor, UNW_REG_IP, &pc);
      pcs[i] = pc;
    }
  });
}

// Leaves of changing depth under the same tail: the innermost frames are new each time, the rest is reused.
[[gnu::noinline]] uint32_t Leaf() {
  uint64_t pcs[kMost];
  Registers start;
  CaptureCaller(&start);
  return Known(start, pcs).frames;
}
[[gnu::noinline]] uint32_t DeeperLeaf(int depth) {
  volatile uint32_t frames = depth > 0 ? DeeperLeaf(depth - 1) : Leaf();
  return frames;
}

[[gnu::noinline]] double KnownChanging() {
  double least = 1e9;
  for (int round = 0; round < 15; ++round) {
    uint64_t frames = 0, from = Now();
    for (int i = 0; i < 300; ++i) frames += DeeperLeaf(i & 3);
    double ns = static_cast<double>(Now() - from) / static_cast<double>(frames);
    if (ns < least) least = ns;
  }
  return least;
}

template <int kKind>
[[gnu::noinline]] int Recurse(int depth, Costs* costs) {
  volatile char local[16 + 8 * kKind];
  local[0] = static_cast<char>(depth);
  if (depth == 0) {
    Measure(costs);
    costs->known_changing = KnownChanging();
    return local[0];
  }
  return Recurse<(kKind + 1) % 7>(depth - 1, costs) + local[0];
}

// Stacks that wander at random through a few dozen call sites: nothing repeats for the branch predictor.
uint64_t g_random = 88172645463325252;
uint64_t g_walk_ticks, g_known_ticks, g_wander_frames, g_wander_walks;
constexpr uint64_t kInterrupted = 20'000;  // ticks: another program had the processor meanwhile

uint32_t Random() {
  g_random ^= g_random << 13, g_random ^= g_random >> 7, g_random ^= g_random << 17;
  return static_cast<uint32_t>(g_random >> 20);
}
uint64_t Ticks() {
  unsigned ignored;
  return __builtin_ia32_rdtscp(&ignored);
}

[[gnu::noinline]] void TimeBoth() {
  uint64_t pcs[kMost];
  Registers start;
  CaptureCaller(&start);
  uint64_t t0 = Ticks(), t1 = Ticks();
  uint32_t frames = Walk(start, g_limits, pcs, kMost).frames;
  uint64_t t2 = Ticks();
  Known(start, pcs);
  uint64_t t3 = Ticks();
  if (t3 - t0 > kInterrupted) return;
  g_wander_frames += frames;
  g_walk_ticks += t2 - t1 - (t1 - t0);
  g_known_ticks += t3 - t2 - (t1 - t0);
  ++g_wander_walks;
}

[[gnu::noinline]] int Wander(int budget);
template <int kKind>
[[gnu::noinline]] int Site(int budget) {
  volatile long locals[1 + kKind % 5] = {};
  int sum = Wander(budget - 1);
  if (Random() % 3 == 0) sum += Wander(budget - 3);
  return sum + static_cast<int>(locals[0]);
}
int Wander(int budget) {
  if (budget <= 0) return TimeBoth(), 1;
  static int (*const kSites[])(int) = {Site<0>, Site<1>, Site<2>, Site<3>, Site<4>, Site<5>, Site<6>, Site<7>};
  return kSites[Random() % 8](budget) + 1;
}

void MeasureWandering() {
  uint64_t from = Now(), from_ticks = Ticks();
  while (g_wander_walks < 200'000) Wander(20);
  double ns_per_tick = static_cast<double>(Now() - from) / static_cast<double>(Ticks() - from_ticks);
  double frames = static_cast<double>(g_wander_frames);
  printf("random stacks, %.0f frames on average: walk %.2f, path cache %.2f\n",
         frames / static_cast<double>(g_wander_walks), static_cast<double>(g_walk_ticks) * ns_per_tick / frames,
         static_cast<double>(g_known_ticks) * ns_per_tick / frames);
}

// Every other frame is generated code without CFI, as in a JIT's stack.
void (*g_generated)(void (*)());
int g_depth;
Costs g_generated_costs;
void GeneratedStep() {
  if (g_depth-- > 0) {
    g_generated(GeneratedStep);
  } else {
    Measure(&g_generated_costs);
  }
  asm volatile("");
}

void MeasureGenerated() {
  const unsigned char kCode[] = {0x55, 0x48, 0x89, 0xE5, 0xFF, 0xD7, 0x5D, 0xC3};
  void* memory = mmap(nullptr, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return;
  __builtin_memcpy(memory, kCode, sizeof(kCode));
  g_generated = reinterpret_cast<void (*)(void (*)())>(memory);
  g_depth = 15;
  GeneratedStep();
  printf("half of the frames generated code: %u frames, warm %.2f, known %.2f, unw_step %.1f\n",
         g_generated_costs.frames, g_generated_costs.warm, g_generated_costs.known_same, g_generated_costs.step);
}

void Cold() {
  // Every rule is decoded anew: the first walk of a program.
  uint64_t pcs[kMost];
  Registers start;
  CaptureHere(&start);
  uint64_t from = Now();
  uint32_t frames = Walk(start, g_limits, pcs, kMost).frames;
  printf("first walk ever: %u frames, %.0f ns a frame (modules announced, rules decoded)\n", frames,
         static_cast<double>(Now() - from) / frames);
}

}  // namespace

int main() {
  uint64_t from = Now();
  Initialize();
  printf("Initialize: %.1f us\n", static_cast<double>(Now() - from) / 1000);
  FindStackLimits(reinterpret_cast<uint64_t>(__builtin_frame_address(0)), &g_limits);
  from = Now();
  for (int i = 0; i < 100; ++i) FindStackLimits(reinterpret_cast<uint64_t>(__builtin_frame_address(0)), &g_limits);
  printf("FindStackLimits: %.2f us\n", static_cast<double>(Now() - from) / 1000 / 100);
  Cold();
  printf("%8s %12s %14s %16s %10s %14s  ns a frame\n", "frames", "warm (<=6)", "known (<=1.5)", "known, changing",
         "unw_step", "unw_backtrace");
  for (int depth : {5, 10, 20, 30, 50, 100, 150}) {
    Costs costs;
    Recurse<0>(depth, &costs);
    printf("%8u %12.2f %14.2f %16.2f %10.1f %14.2f\n", costs.frames, costs.warm, costs.known_same, costs.known_changing,
           costs.step, costs.backtrace);
  }
  MeasureGenerated();
  MeasureWandering();
}
