// A walk along known paths never has another result than the plain walk, nor a word that stands for another stack; a kept walk
// never holds where a walk would find another one.
#include <gtest/gtest.h>

#include <csetjmp>
#include <cstdlib>
#include <random>
#include <vector>

#include "preload/unwind/path_cache.h"
#include "preload/unwind/unwinder.h"
#include "preload/unwind/walk_memo.h"
#include "tests/unit/unwind/situations.h"

namespace leakhunt::unwind {
namespace {

constexpr uint32_t kMost = 128;

struct Stack {
  std::vector<uint64_t> frames;
  StopReason stop;
  bool operator==(const Stack&) const = default;
};

struct Checker {
  StackLimits limits{};
  PathCache* cache = static_cast<PathCache*>(calloc(1, sizeof(PathCache)));
  std::vector<Stack> kept;  // what the words in the cache stand for: index + 1
  uint32_t max_frames = kMost;
  uint64_t walks = 0, wrong = 0, known_walks = 0, unkept = 0;
  // Walks kept by where they began, and what they found.
  struct Kept {
    WalkMemo memo;
    Stack* stack;
  };
  static constexpr uint32_t kMemos = 1024;
  Kept* memos = static_cast<Kept*>(calloc(kMemos, sizeof(Kept)));
  uint64_t remembered = 0, wrongly_remembered = 0;

  ~Checker() {
    free(cache);
    for (uint32_t i = 0; i < kMemos; ++i) delete memos[i].stack;
    free(memos);
  }

  // `walked` is what a walk finds now. `and_keep`: where nothing was kept that holds, that is.
  void CheckMemo(const Registers& start, const StackLimits& on, const Stack& walked, bool and_keep) {
    if (max_frames != kMost) return;  // a memo knows of no depth
    Kept& kept_walk = memos[((start.pc ^ start.sp) * 0x9E37'79B9'7F4A'7C15) >> 54];
    if (kept_walk.memo.Holds(start, Epoch())) {
      ++remembered;
      wrongly_remembered += *kept_walk.stack != walked;
    } else if (and_keep) {
      kept_walk.memo.Keep(start, on, Epoch());
      delete kept_walk.stack;
      kept_walk.stack = new Stack(walked);
    }
  }

  // Leaves no room in the cache: every walk goes beyond it.
  void Fill() {
    cache->Prepare(Epoch());
    for (uint64_t word = 0x10000; cache->Enter(0, word) != 0; word += 16) {}
  }

  // The walk from `start` with the cache: the stack that its word stands for, or the frames it wrote.
  Stack WalkCached(const Registers& start, const StackLimits& on) {
    uint64_t pcs[kMost];
    uint32_t* known = nullptr;
    WalkResult result = WalkKnown(start, on, cache, pcs, max_frames, &known);
    if (known != nullptr && *known != 0) {
      ++known_walks;
      return kept.at(*known - 1);
    }
    Stack stack{{pcs, pcs + result.frames}, result.stop};
    if (known == nullptr) {
      ++unkept;
    } else {
      kept.push_back(stack);
      *known = static_cast<uint32_t>(kept.size());
    }
    return stack;
  }

  [[gnu::noinline]] void Check() {
    Registers start;
    CaptureCaller(&start);
    if (limits.high == 0 && !FindStackLimits(start.sp, &limits)) abort();
    uint64_t plain[kMost];
    WalkResult expected = Walk(start, limits, plain, max_frames);
    const Stack walked{{plain, plain + expected.frames}, expected.stop};
    wrong += WalkCached(start, limits) != walked;
    CheckMemo(start, limits, walked, true);
    ++walks;
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

class KnownPath : public ::testing::Test {
 protected:
  void SetUp() override {
    Initialize();
    g_checker = &checker_;
  }
  void TearDown() override {
    EXPECT_EQ(checker_.wrong, 0u) << "of " << checker_.walks;
    EXPECT_EQ(checker_.wrongly_remembered, 0u) << "of " << checker_.remembered;
    const auto share = [&](uint64_t part) { return 100.0 * static_cast<double>(part) / static_cast<double>(checker_.walks); };
    printf("%lu walks, %.1f %% known, %.1f %% not kept, %.1f %% remembered\n", checker_.walks, share(checker_.known_walks),
           share(checker_.unkept), share(checker_.remembered));
  }
  Checker checker_;
};

TEST_F(KnownPath, EqualsTheWalkOnRandomStacks) {
  while (checker_.walks < 100'000) Wander(25);
}

TEST_F(KnownPath, EqualsTheWalkOnRandomStacksBeyondAFullCache) {
  checker_.Fill();
  while (checker_.walks < 100'000) Wander(25);
  EXPECT_GT(checker_.unkept * 10, checker_.walks * 9);
}

TEST_F(KnownPath, FewStacksAreAllKnown) {
  while (checker_.walks < 50'000) Wander(2);
  EXPECT_GT(checker_.known_walks * 10, checker_.walks * 9);
  EXPECT_GT(checker_.remembered * 10, checker_.walks * 3);
}

TEST_F(KnownPath, EqualsTheWalkWhenTruncated) {
  for (uint32_t most : {1, 2, 3, 10, 20, 33}) {
    checker_.max_frames = most;
    checker_.kept.clear();
    checker_.cache = static_cast<PathCache*>(calloc(1, sizeof(PathCache)));  // a cache has one depth
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

TEST_F(KnownPath, EqualsTheWalkInDeepRecursionBeyondItsCapacity) {
  checker_.max_frames = 128;
  for (int i = 0; i < 300; ++i) Deep(100 + static_cast<int>(g_random() % 500), static_cast<int>(g_random() % 300));
}

TEST_F(KnownPath, AnUnchangedStackIsKnownAtOnce) {
  volatile int turns = 3;  // one call site
  while (turns > 0) {
    turns = turns - 1;
    checker_.Check();
  }
  EXPECT_EQ(checker_.known_walks, 2u);
  EXPECT_EQ(checker_.remembered, 2u);
  EXPECT_EQ(checker_.kept.size(), 1u);
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

TEST_F(KnownPath, SurvivesFramesThatWereJumpedOver) {
  for (static int i = 0; i < 500; ++i) {
    if (setjmp(g_jump) == 0) JumpOut(1 + i % 17);
    Wander(4);
  }
}

// A stack that lies: the same frame, and return addresses above that are changed and put back.
[[gnu::noinline]] void WalkLies(Checker* checker) {
  Registers start;
  CaptureHere(&start);
  StackLimits limits;
  ASSERT_TRUE(FindStackLimits(start.sp, &limits));
  // A copy of the real stack, so that it can be changed at will. Saved frame pointers are moved with it.
  uint64_t real[kMost], copy_plain[kMost];
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
  // The innermost frame is this function's own, with its arrays: what matters lies above.
  uint64_t first = (reinterpret_cast<uint64_t>(__builtin_frame_address(0)) - start.sp) / 8 - 8;
  uint32_t ends = 0;
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
    const Stack walked{{copy_plain, copy_plain + plain.frames}, plain.stop};
    ASSERT_EQ(checker->WalkCached(moved, moved_limits), walked) << i;
    checker->CheckMemo(moved, moved_limits, walked, i % 64 == 0);
    ends += plain.frames != frames;
    if (random() % 3) copy[at] = old;
  }
  EXPECT_GT(ends, 100u);
}

TEST_F(KnownPath, NoticesEveryChangedWordAbove) {
  WalkLies(&checker_);
  EXPECT_GT(checker_.remembered, 1'000u);
  EXPECT_LT(checker_.remembered, 19'000u);
}

TEST_F(KnownPath, NoticesEveryChangedWordAboveBeyondAFullCache) {
  checker_.Fill();
  WalkLies(&checker_);
  EXPECT_GT(checker_.unkept, 1'000u);
}

}  // namespace
}  // namespace leakhunt::unwind
