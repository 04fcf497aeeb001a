// The memo never gives another result than the plain walk, and what it calls reused is what it gave last.
#include <gtest/gtest.h>

#include <csetjmp>
#include <random>
#include <vector>

#include "preload/unwind/unwinder.h"
#include "tests/unit/unwind/situations.h"

namespace leakhunt::unwind {
namespace {

constexpr uint32_t kMost = 240;

struct Checker {
  StackLimits limits{};
  WalkMemo* memo = new WalkMemo{};
  std::vector<uint64_t> last;
  uint32_t max_frames = kMost;
  uint64_t walks = 0, wrong = 0, wrong_tail = 0, frames = 0, reused = 0;

  ~Checker() { delete memo; }

  [[gnu::noinline]] void Check() {
    Registers start;
    CaptureCaller(&start);
    if (limits.high == 0 && !FindStackLimits(start.sp, &limits)) abort();
    uint64_t plain[kMost], memoized[kMost];
    WalkResult expected = Walk(start, limits, plain, max_frames);
    uint32_t kept = 0;
    WalkResult result = WalkWithMemo(start, limits, memo, memoized, max_frames, &kept);
    std::vector<uint64_t> now(memoized, memoized + result.frames);
    wrong += result.frames != expected.frames || result.stop != expected.stop ||
             now != std::vector<uint64_t>(plain, plain + expected.frames);
    wrong_tail += kept > now.size() || kept > last.size() ||
                  !std::equal(now.end() - kept, now.end(), last.end() - kept);
    ++walks;
    frames += now.size();
    reused += kept;
    last = now;
  }
};

Checker* g_checker;
std::minstd_rand g_random(1);
volatile int g_zero = 0;

[[gnu::noinline]] int Wander(int budget);

// Frames of different shapes, chosen at random, so that one sp is often met by another function than last time.
template <int kKind>
[[gnu::noinline]] int Shape(int budget) {
  volatile long locals[1 + kKind % 4] = {};
  int sum = 0;
  for (int turns = static_cast<int>(g_random() % 3); turns >= 0; --turns) sum += Wander(budget - 1);
  return sum + static_cast<int>(locals[0]);
}

template <int kKind>
[[gnu::noinline, gnu::optimize("no-omit-frame-pointer")]] int Framed(int budget) {
  volatile char* memory = static_cast<char*>(__builtin_alloca(8 * (1 + kKind % 3)));
  memory[0] = 1;
  int sum = Wander(budget - 1);
  return sum + memory[0] + (g_random() % 2 ? Wander(budget - 2) : 0);
}

// Values of its own in callee-saved registers, rbp among them.
[[gnu::noinline]] int Registered(int budget) {
  int a = g_zero + 1, b = g_zero + 2, c = g_zero + 3, d = g_zero + 4, e = g_zero + 5, f = g_zero + budget;
  for (int i = 0; i < 2; ++i) {
    f += Wander(budget - 1) + a;
    a += b, b += c, c += d, d += e, e += f;
  }
  return a + b + c + d + e + f;
}

int Wander(int budget) {
  if (budget <= 0 || g_checker->walks > 400'000) return g_checker->Check(), 1;
  if (g_random() % 4 == 0) g_checker->Check();
  switch (g_random() % 8) {
    case 0: return Shape<0>(budget);
    case 1: return Shape<1>(budget);
    case 2: return Shape<2>(budget);
    case 3: return Framed<0>(budget);
    case 4: return Framed<1>(budget);
    case 5: return Framed<2>(budget);
    case 6: return Registered(budget);
    default: return g_checker->Check(), 0;
  }
}

class Memo : public ::testing::Test {
 protected:
  void SetUp() override {
    Initialize();
    g_checker = &checker_;
  }
  void TearDown() override {
    EXPECT_EQ(checker_.wrong, 0u) << "of " << checker_.walks;
    EXPECT_EQ(checker_.wrong_tail, 0u) << "of " << checker_.walks;
    printf("%lu walks, %lu frames, %.1f %% reused\n", checker_.walks, checker_.frames,
           100.0 * static_cast<double>(checker_.reused) / static_cast<double>(checker_.frames));
  }
  Checker checker_;
};

TEST_F(Memo, EqualsTheWalkOnRandomStacks) {
  while (checker_.walks < 100'000) Wander(25);
  EXPECT_GT(checker_.reused * 2, checker_.frames);
}

TEST_F(Memo, EqualsTheWalkWhenTruncated) {
  for (uint32_t most : {1, 2, 3, 10, 20, 33}) {
    checker_.max_frames = most;
    uint64_t until = checker_.walks + 10'000;
    while (checker_.walks < until) Wander(40);
  }
}

[[gnu::noinline]] int Deep(int depth, int turn) {
  volatile int result = 0;
  if (depth == 0) {
    g_checker->Check();
    return 0;
  }
  result = Deep(depth - 1, turn) + 1;
  if (depth <= turn) g_checker->Check();
  return result;
}

TEST_F(Memo, EqualsTheWalkInDeepRecursionBeyondItsCapacity) {
  checker_.max_frames = 128;
  for (int i = 0; i < 300; ++i) Deep(100 + static_cast<int>(g_random() % 500), static_cast<int>(g_random() % 300));
}

TEST_F(Memo, ReusesAnUnchangedStackWhole) {
  volatile int turns = 3;  // one call site
  while (turns > 0) {
    turns = turns - 1;
    checker_.reused = 0;
    checker_.Check();
  }
  EXPECT_EQ(checker_.reused, checker_.last.size());
}

jmp_buf g_jump;
[[gnu::noinline]] void JumpOut(int depth) {
  if (depth == 0) {
    g_checker->Check();
    if (g_zero == 0) longjmp(g_jump, 1);
    return;
  }
  JumpOut(depth - 1);
  g_zero = 0;
}

TEST_F(Memo, SurvivesFramesThatWereJumpedOver) {
  for (static int i = 0; i < 500; ++i) {
    if (setjmp(g_jump) == 0) JumpOut(1 + i % 17);
    Wander(4);
  }
}

// A stack that lies: the same frame, and return addresses above that are changed and put back.
TEST_F(Memo, NoticesEveryChangedWordAbove) {
  Registers start;
  CaptureHere(&start);
  StackLimits limits;
  ASSERT_TRUE(FindStackLimits(start.sp, &limits));
  // A copy of the real stack, so that it can be changed at will. Saved frame pointers are moved with it.
  uint64_t real[kMost], copy_plain[kMost], copy_memo[kMost];
  uint32_t frames = Walk(start, limits, real, kMost).frames;
  ASSERT_GT(frames, 4u);
  uint64_t words = (limits.high - start.sp) / 8;
  if (words > 20'000) words = 20'000;
  std::vector<uint64_t> copy(reinterpret_cast<uint64_t*>(start.sp), reinterpret_cast<uint64_t*>(start.sp) + words);
  uint64_t shift = reinterpret_cast<uint64_t>(copy.data()) - start.sp;
  for (uint64_t& word : copy) {
    if (word >= start.sp && word < start.sp + 8 * words) word += shift;
  }
  Registers moved = start;
  moved.sp += shift;
  if (moved.rbp >= start.sp && moved.rbp < start.sp + 8 * words) moved.rbp += shift;
  StackLimits moved_limits{moved.sp, moved.sp + 8 * words};
  WalkMemo* memo = checker_.memo;
  // The innermost frame is this function's own, with its arrays: what matters lies above.
  uint64_t first = (reinterpret_cast<uint64_t>(__builtin_frame_address(0)) - start.sp) / 8 - 8;
  uint32_t reused = 0, ends = 0;
  std::minstd_rand random(5);
  for (int i = 0; i < 20'000; ++i) {
    uint64_t at = first + random() % (words - first < 400 ? words - first : 400), old = copy[at];
    switch (random() % 4) {
      case 0: copy[at] = random(); break;
      case 1: copy[at] = 0; break;
      case 2: copy[at] = copy[random() % words]; break;
      default: break;
    }
    WalkResult plain = Walk(moved, moved_limits, copy_plain, kMost);
    WalkResult memoized = WalkWithMemo(moved, moved_limits, memo, copy_memo, kMost, &reused);
    ASSERT_EQ(plain.frames, memoized.frames) << i;
    ASSERT_EQ(plain.stop, memoized.stop) << i;
    ASSERT_EQ(memcmp(copy_plain, copy_memo, 8 * plain.frames), 0) << i;
    ends += plain.frames != frames;
    if (random() % 3) copy[at] = old;
  }
  EXPECT_GT(ends, 100u);
}

}  // namespace
}  // namespace leakhunt::unwind
