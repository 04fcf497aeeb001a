// A loss can never invent a leak: random programs of which a part of the frees pass by the hooks.
//
// The memory of a program is modelled: one arena, first fit, whole blocks of 16 bytes. What was freed unseen counts as live
// until its memory is used again; so each program goes on until all of its memory has been, and then nothing may be left.
#include "recorded_guest.h"

#include <map>
#include <random>

namespace leakhunt::core {
namespace {

using testing::Born;
using testing::Freed;
using testing::LiveHeap;
using testing::RecordedGuest;

constexpr uint64_t kArena = 0x7000'0010'0000, kArenaBytes = 1u << 20;

class Program {
 public:
  explicit Program(uint64_t seed) : random_(seed) {}

  // False when the arena has no room for it.
  bool Allocate(uint64_t most_bytes) {
    uint64_t bytes = 16 * (1 + random_() % (most_bytes / 16)), at = kArena;
    for (const auto& [start, size] : blocks_) {
      if (start - at >= bytes || (fills_ && start > at)) break;
      at = start + size;
    }
    const auto next = blocks_.lower_bound(at);
    const uint64_t room = (next == blocks_.end() ? kArena + kArenaBytes : next->first) - at;
    if (fills_ && room < bytes) bytes = room;
    if (bytes == 0 || room < bytes) return false;
    blocks_[at] = bytes;
    live_ += bytes;
    Tell(at, bytes);
    return true;
  }

  // Frees a random block; the hooks see `seen` of a hundred.
  void Free(unsigned seen) {
    if (blocks_.empty()) return;
    auto block = blocks_.lower_bound(kArena + random_() % kArenaBytes);
    if (block == blocks_.end()) block = blocks_.begin();
    if (random_() % 100 < seen && MayBeRecorded(block->first)) Freed(block->first);
    live_ -= block->second;
    blocks_.erase(block);
  }

  // Uses every byte of the arena once: what is free now is allocated, and freed again.
  void UseAllMemory() {
    const std::map<uint64_t, uint64_t> before = blocks_;
    fills_ = true;
    while (Allocate(2000)) {
    }
    fills_ = false;
    for (auto block = blocks_.begin(); block != blocks_.end();) {
      if (before.contains(block->first)) {
        ++block;
        continue;
      }
      if (MayBeRecorded(block->first)) Freed(block->first);
      live_ -= block->second;
      block = blocks_.erase(block);
    }
  }

  void Run(int steps) {
    for (int i = 0; i < steps; ++i) {
      if (random_() % 100 < 52) Allocate(random_() % 20 == 0 ? 40'000 : 1000);
      else Free(60);
    }
  }

  uint64_t Live() const { return live_; }

 private:
  // As the hooks do it.
  static void Tell(uint64_t at, uint64_t bytes) {
    if (!CountDown(bytes)) Born(at, bytes);
    else if (MayBeRecorded(at)) RetireStaleSlow(at, bytes);
  }

  std::mt19937_64 random_;
  std::map<uint64_t, uint64_t> blocks_;
  uint64_t live_ = 0;
  bool fills_ = false;
};

TEST(UnseenFrees, LeaveNothingOnceTheirMemoryHasBeenUsedAgain) {
  RecordedGuest guest;
  for (uint64_t seed = 1; seed <= 8; ++seed) {
    Program program(seed);
    program.Run(3000);
    EXPECT_GT(LiveHeap(guest.Capture()).bytes, static_cast<double>(program.Live())) << "no free was unseen";
    program.UseAllMemory();  // the first time the guest may not know yet that frees pass by
    program.UseAllMemory();
    EXPECT_EQ(LiveHeap(guest.Capture()).bytes, static_cast<double>(program.Live())) << "seed " << seed;
    program.Run(200);
    while (program.Live() > 0) program.Free(100);
    program.UseAllMemory();
    EXPECT_EQ(LiveHeap(guest.Capture()).bytes, 0) << "seed " << seed;
  }
}

// A block that is not sampled looks where the address filter says so, by the 256 bytes that it begins in. So each use of a
// stretch of memory finds a part of what was left there, and what lies behind the beginning of a block stays while that lives.
TEST(UnseenFrees, OfSampledProgramsLeaveNothingAfterSomeUsesOfTheirMemory) {
  RecordedGuest guest({"LEAKHUNT_SAMPLE_BYTES=2048", "LEAKHUNT_SEED=7"});
  for (uint64_t seed = 1; seed <= 4; ++seed) {
    Program program(seed);
    program.Run(3000);
    for (int i = 0; i < 40; ++i) program.UseAllMemory();
    EXPECT_LT(LiveHeap(guest.Capture()).bytes, 1.7 * static_cast<double>(program.Live())) << "seed " << seed;
    while (program.Live() > 0) program.Free(100);
    for (int i = 0; i < 40; ++i) program.UseAllMemory();
    EXPECT_LT(LiveHeap(guest.Capture()).bytes, 0.05 * kArenaBytes) << "seed " << seed;
  }
}

}  // namespace
}  // namespace leakhunt::core
