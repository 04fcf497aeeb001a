// Each test puts the stack into one situation and compares every frame with libunwind's.
#include <dlfcn.h>
#include <gtest/gtest.h>
#include <immintrin.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

#include <algorithm>
#include <functional>
#include <random>
#include <regex>
#include <stdexcept>
#include <thread>
#include <vector>

#include "tests/unit/unwind/oracle.h"
#include "tests/unit/unwind/situations.h"

namespace leakhunt::unwind_test {

void* g_sink;  // keeps what the compiler would remove

// A function in a module that has no entry in .eh_frame.
extern "C" void call_without_cfi(void (*callback)());
asm(R"(
.text
.type call_without_cfi, @function
call_without_cfi:
  push %rbp
  mov %rsp, %rbp
  sub $32, %rsp
  call *%rdi
  leave
  ret
.size call_without_cfi, . - call_without_cfi
)");

namespace {

class Situations : public ::testing::Test {
 protected:
  void SetUp() override {
    unwind::Initialize();
    ForgetLimits();
    before_ = Totals();
  }
  void TearDown() override {
    const Tally& now = Totals();
    uint64_t walks = now.walks - before_.walks;
    EXPECT_GT(walks, 0u);
    EXPECT_EQ(now.same - before_.same, walks);
    EXPECT_EQ(now.known_differs, before_.known_differs);
  }
  uint64_t Stops(unwind::StopReason why) const {
    return Totals().stops[static_cast<int>(why)] - before_.stops[static_cast<int>(why)];
  }
  Tally before_;
};

[[gnu::noinline]] int Recurse(int depth) {
  volatile char local[24] = {};
  if (depth == 0) CompareWalks();
  return depth == 0 ? local[0] : Recurse(depth - 1) + local[1];
}

TEST_F(Situations, DeepRecursion) {
  for (int depth : {0, 1, 7, 50, 180}) Recurse(depth);
  EXPECT_EQ(Stops(unwind::StopReason::kBottom), 5u);
}

template <int N>
struct Tower {
  [[gnu::noinline]] static int Climb(std::vector<int>& v) {
    v.push_back(N);
    if (N % 5 == 0) CompareWalks();
    return Tower<N - 1>::Climb(v) + static_cast<int>(v.size());
  }
};
template <>
struct Tower<0> {
  static int Climb(std::vector<int>&) {
    CompareWalks();
    throw std::runtime_error("top of the tower");
  }
};

TEST_F(Situations, TemplatesAndExceptions) {
  for (int i = 0; i < 20; ++i) {
    std::vector<int> v;
    EXPECT_THROW(Tower<30>::Climb(v), std::runtime_error);
    CompareWalks();
  }
}

TEST_F(Situations, EveryOptimizationLevelAndFramePointerHabit) {
  for (int depth : {0, 3, 20}) {
    ChainO0(depth);
    ChainO2(depth);
    ChainO3FramePointer(depth);
    ChainO2NoFramePointer(depth);
    ChainOs(depth);
  }
}

[[gnu::noinline]] void Alloca(size_t bytes) {
  g_sink = __builtin_alloca(bytes);
  CompareWalks();
}

TEST_F(Situations, VariableFrames) {
  for (size_t bytes : {1, 100, 5000, 60000}) Alloca(bytes);
}

// Over-aligned locals and a variable frame: the compiler realigns the stack and finds its arguments by DRAP.
[[gnu::noinline, gnu::target("avx2")]] int Realigned(int depth, size_t bytes, int a, int b, int c, int d, int e,
                                                     int f) {
  alignas(64) volatile float lanes[16];
  g_sink = __builtin_alloca(bytes);
  __m256 sum = _mm256_set1_ps(static_cast<float>(a + b));
  _mm256_store_ps(const_cast<float*>(lanes), sum);
  if (depth == 0) {
    CompareWalks();
  } else {
    a += Realigned(depth - 1, bytes + 40, b, c, d, e, f, a);
  }
  return a + static_cast<int>(lanes[3]) + e + f;
}

TEST_F(Situations, RealignedFrames) {
  if (!__builtin_cpu_supports("avx2")) GTEST_SKIP();
  for (int depth : {0, 1, 9}) Realigned(depth, 33, 1, 2, 3, 4, 5, 6);
}

TEST_F(Situations, CallbacksThroughLibraries) {
  std::vector<int> v(200);
  std::minstd_rand random(7);
  for (int& x : v) x = static_cast<int>(random());
  int calls = 0;
  qsort(v.data(), v.size(), sizeof(int), [](const void* a, const void* b) {
    CompareWalks();
    return *static_cast<const int*>(a) - *static_cast<const int*>(b) > 0 ? 1 : -1;
  });
  std::sort(v.begin(), v.end(), [&](int a, int b) {
    if (++calls % 10 == 0) CompareWalks();
    return a > b;
  });
  std::function<int(int)> f = [&](int n) { return n == 0 ? (CompareWalks(), 0) : f(n - 1) + 1; };
  EXPECT_EQ(f(30), 30);
}

void OnSignal(int) { CompareWalks(); }
void OnSignalInfo(int, siginfo_t*, void*) {
  CompareWalks();
  Recurse(5);
}

// Loops with and without frames in which a timer's signal finds the program at any instruction.
TEST_F(Situations, SignalsAtAnyInstruction) {
  CompareWalks();  // what is allocated at the first comparison is not allocated in the handler
  struct sigaction action {};
  action.sa_handler = OnSignal;
  sigaction(SIGPROF, &action, nullptr);
  timer_t timer;
  sigevent event{};
  event.sigev_notify = SIGEV_SIGNAL;
  event.sigev_signo = SIGPROF;
  ASSERT_EQ(timer_create(CLOCK_MONOTONIC, &event, &timer), 0);
  itimerspec every{{0, 200'000}, {0, 200'000}};
  timer_settime(timer, 0, &every, nullptr);
  uint64_t from = Totals().walks;
  while (Totals().walks < from + 300) {
    volatile int sum = ChainWork(6);
    std::string text(64, static_cast<char>('a' + sum % 7));
    g_sink = text.data();
  }
  timer_delete(timer);
  signal(SIGPROF, SIG_DFL);
}

TEST_F(Situations, RaisedSignalOnItsOwnStack) {
  std::vector<char> memory(64 * 1024);
  stack_t alternate{memory.data(), 0, memory.size()};
  ASSERT_EQ(sigaltstack(&alternate, nullptr), 0);
  struct sigaction action {};
  action.sa_sigaction = OnSignalInfo;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK;
  sigaction(SIGUSR1, &action, nullptr);
  for (int i = 0; i < 10; ++i) raise(SIGUSR1);
  alternate.ss_flags = SS_DISABLE;
  sigaltstack(&alternate, nullptr);
}

TEST_F(Situations, Threads) {
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([] {
      for (int k = 0; k < 50; ++k) Recurse(k % 13);
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(Stops(unwind::StopReason::kBottom), 200u);
}

ucontext_t g_main, g_routine[2];
void Routine() {
  for (int i = 0; i < 6; ++i) {
    ForgetLimits();
    Recurse(i);
    swapcontext(&g_routine[0], &g_main);
  }
}

TEST_F(Situations, Coroutines) {
  std::vector<char> stack(128 * 1024);
  getcontext(&g_routine[0]);
  g_routine[0].uc_stack = {stack.data(), 0, stack.size()};
  g_routine[0].uc_link = &g_main;
  makecontext(&g_routine[0], Routine, 0);
  for (int i = 0; i < 6; ++i) {
    swapcontext(&g_main, &g_routine[0]);
    ForgetLimits();
    Recurse(3);
  }
  EXPECT_EQ(Stops(unwind::StopReason::kBottom), 6u);
  EXPECT_EQ(Stops(unwind::StopReason::kNoRule), 6u);  // makecontext returns to the start of a function: no caller
}

TEST_F(Situations, ThroughTheLazyResolverOfAPlt) {
  void* library = dlopen(LAZY_PLUGIN, RTLD_LAZY | RTLD_LOCAL);
  ASSERT_NE(library, nullptr) << dlerror();
  auto* call = reinterpret_cast<void (*)(void (*)())>(dlsym(library, "plugin_call"));
  ASSERT_NE(call, nullptr);
  for (int i = 0; i < 3; ++i) call([] { CompareWalks(); });
  // A walk that begins inside the resolver: its frame is found by rbx.
  *static_cast<void (**)()>(dlsym(library, "plugin_resolving")) = [] { CompareWalks(); };
  uint64_t walks = Totals().walks;
  reinterpret_cast<int (*)(int)>(dlsym(library, "plugin_resolve"))(11);
  EXPECT_EQ(Totals().walks, walks + 1);
  dlclose(library);
  unwind::AfterUnload();
}

// push %rbp; mov %rsp,%rbp; call *%rdi; pop %rbp; ret: code of a JIT, in no object, with a frame pointer.
TEST_F(Situations, GeneratedCodeWithFramePointers) {
  const unsigned char kCode[] = {0x55, 0x48, 0x89, 0xE5, 0xFF, 0xD7, 0x5D, 0xC3};
  void* memory = mmap(nullptr, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(memory, MAP_FAILED);
  memcpy(memory, kCode, sizeof(kCode));
  static void (*generated)(void (*)());
  generated = reinterpret_cast<void (*)(void (*)())>(memory);
  static int depth;
  static void (*step)();
  step = [] {
    if (depth-- > 0) return generated(step), g_sink = nullptr, void();
    CompareWalks();
  };
  uint64_t before = unwind::Counters().frame_pointer_steps;
  for (int i = 0; i < 60; ++i) {
    depth = i % 3 * 10;
    generated(step);
  }
  EXPECT_GE(unwind::Counters().frame_pointer_steps - before, 512u);  // 60 walks, 11 such frames on average
  EXPECT_EQ(Stops(unwind::StopReason::kBottom), 60u);
  munmap(memory, 4096);
}

uint64_t g_pcs[100];
unwind::WalkResult g_result;
[[gnu::noinline]] void WalkHere() {
  unwind::Registers start;
  unwind::StackLimits limits;
  unwind::CaptureCaller(&start);
  ASSERT_TRUE(unwind::FindStackLimits(start.sp, &limits));
  g_result = unwind::Walk(start, limits, g_pcs, 100);
}
[[gnu::noinline]] void Between() {
  call_without_cfi(WalkHere);
  g_sink = nullptr;
}

// Not compared: libunwind reports the caller of such a function twice.
TEST(SituationsAlone, AssemblerWithoutCfi) {
  unwind::Initialize();
  call_without_cfi(Between);
  auto entry = reinterpret_cast<uint64_t>(&call_without_cfi), between = reinterpret_cast<uint64_t>(&Between);
  EXPECT_EQ(g_result.stop, unwind::StopReason::kBottom);
  ASSERT_GE(g_result.frames, 6u);
  EXPECT_LT(g_pcs[0] - entry, 32u);
  EXPECT_LT(g_pcs[1] - between, 64u);
  EXPECT_LT(g_pcs[2] - entry, 32u);
  EXPECT_GE(g_pcs[3] - entry, 32u);
}

TEST_F(Situations, AfterFork) {
  Recurse(4);
  pid_t child = fork();
  if (child == 0) {
    Tally before = Totals();
    for (int i = 0; i < 20; ++i) Recurse(i);
    _exit(Totals().same - before.same == 20 && Totals().known_differs == before.known_differs ? 0 : 1);
  }
  int status = -1;
  waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
}

TEST_F(Situations, RegularExpressions) {
  std::regex pattern("(a|b)*c+[0-9]{2,4}");
  std::string text = "ababababccc1234";
  for (int i = 0; i < 3; ++i) {
    EXPECT_TRUE(std::regex_match(text, pattern));
    CompareWalks();
  }
}

}  // namespace
}  // namespace leakhunt::unwind_test
