// What becomes of a block: born, freed, resized, reused, seen from a handler, of a thread that paused.
#include <cmath>
#include <thread>

#include "recorded_guest.h"

namespace leakhunt::core {
namespace {

using testing::Born;
using testing::Freed;
using testing::Live;
using testing::LiveHeap;
using testing::RecordedGuest;

constexpr uint64_t kBlock = 0x7000'0000'1000, kOther = 0x7000'0001'0000, kThird = 0x7000'0002'0000;

TEST(Tracker, ABlockIsLiveFromItsBirthToItsFree) {
  RecordedGuest guest;
  ASSERT_TRUE(guest.Started());
  Born(kBlock, 100);
  Born(kOther, 50);
  EXPECT_EQ(LiveHeap(guest.Capture()), (Live{2, 150}));
  Freed(kBlock);
  EXPECT_EQ(LiveHeap(guest.Capture()), (Live{1, 50}));
  Freed(kOther);
  const snapshot::Snapshot last = guest.Capture();
  EXPECT_EQ(LiveHeap(last), (Live{0, 0}));
  EXPECT_EQ(last.losses.records, 0u);
}

TEST(Tracker, TotalsCountEveryBirthAndDeath) {
  RecordedGuest guest;
  for (int i = 0; i < 1000; ++i) {
    Born(kBlock, 10);
    Freed(kBlock);
  }
  double born = 0, freed = 0;
  for (const snapshot::Site& site : guest.Capture().sites) born += site.total_count.value, freed += site.freed_bytes;
  EXPECT_EQ(born, 1000);
  EXPECT_EQ(freed, 10'000);
}

TEST(Tracker, AnAddressBornTwiceHasItsFirstBlockRetiredAndCounted) {
  RecordedGuest guest;
  Born(kBlock, 100);
  Born(kBlock, 30);
  EXPECT_EQ(LiveHeap(guest.Capture()), (Live{1, 30}));
  EXPECT_EQ(Header()->stale_records, 1u);
}

TEST(Tracker, ABlockRetiresWhatStartsInsideItOnceFreesHavePassedBy) {
  RecordedGuest guest;
  Born(kOther, 16);
  Born(kOther, 16);  // the first free that passed by
  Born(kBlock + 64, 32);
  Born(kBlock + 240, 4000);
  Born(kBlock + 256, 8);
  Born(kBlock, 256);
  EXPECT_EQ(LiveHeap(guest.Capture()), (Live{3, 16 + 256 + 8})) << "what begins behind the block's end is another block's";
  EXPECT_EQ(Header()->stale_records, 3u);
}

TEST(Tracker, AnUnsampledBlockRetiresWhatStartsInsideIt) {
  RecordedGuest guest;
  Born(kBlock + 32, 40);
  RetireStaleSlow(kBlock, 32);
  EXPECT_EQ(LiveHeap(guest.Capture()), (Live{1, 40}));
  RetireStaleSlow(kBlock, 48);
  EXPECT_EQ(LiveHeap(guest.Capture()), (Live{0, 0}));
}

TEST(Tracker, AMappingRetiresTheBlocksThatHadItsPages) {
  RecordedGuest guest;
  Born(kOther, 16);
  Born(kOther, 16);
  Born(0x7100'0000'0010, 200'000);  // of glibc, with pages of its own
  Born(0x7100'0004'0000, 70'000);
  RetireUnderMapping(0x7100'0000'0000, 0x5'0000);
  EXPECT_EQ(LiveHeap(guest.Capture()), (Live{1, 16}));
}

TEST(Tracker, AFreeOfWhatIsNotRecordedChangesNothing) {
  RecordedGuest guest;
  Born(kBlock, 100);
  Freed(kOther);
  Freed(kBlock + 16);
  EXPECT_EQ(LiveHeap(guest.Capture()), (Live{1, 100}));
}

TEST(Tracker, AResizedBlockKeepsItsBirthAndCountsAsDeathAndBirth) {
  RecordedGuest guest;
  Born(kBlock, 100);
  const Resize resize = ResizeBeginSlow(kBlock);
  ASSERT_TRUE(bool{resize.entry});
  EXPECT_EQ(LiveHeap(guest.Capture()), (Live{1, 100})) << "in transit it still counts";
  unwind::Registers here;
  unwind::CaptureHere(&here);
  ResizeEndSlow(resize, ResizeOutcome::kMoved, kOther, 300, true, &here);
  const snapshot::Snapshot after = guest.Capture();
  EXPECT_EQ(LiveHeap(after), (Live{1, 300}));
  double total_bytes = 0, total_count = 0;
  for (const snapshot::Site& site : after.sites)
    total_bytes += site.total_bytes.value, total_count += site.total_count.value;
  EXPECT_EQ(total_count, 2);
  EXPECT_EQ(total_bytes, 400);
  Freed(kOther);
  EXPECT_EQ(LiveHeap(guest.Capture()), (Live{0, 0}));
}

TEST(Tracker, AResizeThatFailsLeavesTheBlockAsItWas) {
  RecordedGuest guest;
  Born(kBlock, 100);
  ResizeEndSlow(ResizeBeginSlow(kBlock), ResizeOutcome::kFailed, 0, 0, false, nullptr);
  EXPECT_EQ(LiveHeap(guest.Capture()), (Live{1, 100}));
  Freed(kBlock);
  EXPECT_EQ(LiveHeap(guest.Capture()), (Live{0, 0}));
}

TEST(Tracker, AResizeToNothingIsAFree) {
  RecordedGuest guest;
  Born(kBlock, 100);
  ResizeEndSlow(ResizeBeginSlow(kBlock), ResizeOutcome::kFreed, 0, 0, false, nullptr);
  EXPECT_EQ(LiveHeap(guest.Capture()), (Live{0, 0}));
}

TEST(Tracker, AResizeOntoAnAddressWhoseFreeWasNotSeenRetiresWhatWasThere) {
  RecordedGuest guest;
  Born(kBlock, 100);
  Born(kOther, 50);  // freed out of sight
  unwind::Registers here;
  unwind::CaptureHere(&here);
  ResizeEndSlow(ResizeBeginSlow(kBlock), ResizeOutcome::kMoved, kOther, 300, true, &here);
  EXPECT_EQ(LiveHeap(guest.Capture()), (Live{1, 300}));
  EXPECT_EQ(Header()->stale_records, 1u);
}

TEST(Tracker, AResizeInAHandlerThatInterruptsLeakhuntEndsTheBlockAndLosesTheNewOne) {
  RecordedGuest guest;
  Born(kBlock, 100);
  ASSERT_TRUE(Enter());
  ResizeEndSlow(ResizeBeginSlow(kBlock), ResizeOutcome::kMoved, kOther, 300, true, nullptr);
  Leave();
  const snapshot::Snapshot after = guest.Capture();
  EXPECT_EQ(LiveHeap(after), (Live{0, 0}));
  EXPECT_EQ(after.losses.bytes, 300u);
}

TEST(Tracker, AHandlerThatInterruptsLeakhuntLosesItsBirthsAndKeepsItsFreesTrue) {
  RecordedGuest guest;
  Born(kBlock, 100);
  ASSERT_TRUE(Enter());  // leakhunt is at work in this thread
  Born(kOther, 70);
  Freed(kBlock);
  Leave();
  const snapshot::Snapshot after = guest.Capture();
  EXPECT_EQ(LiveHeap(after), (Live{0, 0}));
  EXPECT_EQ(after.losses.records, 1u);
  EXPECT_EQ(after.losses.bytes, 70u);
  Born(kThird, 5);
  EXPECT_EQ(LiveHeap(guest.Capture()), (Live{1, 5})) << "afterwards the thread records again";
}

TEST(Tracker, APausedThreadRecordsNoBirthAndLosesNone) {
  RecordedGuest guest;
  Born(kBlock, 100);
  ++t_local.paused;
  Born(kOther, 70);
  Freed(kBlock);
  --t_local.paused;
  const snapshot::Snapshot after = guest.Capture();
  EXPECT_EQ(LiveHeap(after), (Live{0, 0}));
  EXPECT_EQ(after.losses.records, 0u);
}

TEST(Tracker, ABlockThatIsNotRecordedStillRetiresWhatWasAtItsAddress) {
  RecordedGuest guest;
  Born(kBlock, 100);  // freed out of sight
  ++t_local.paused;
  Born(kBlock, 70);
  --t_local.paused;
  EXPECT_EQ(LiveHeap(guest.Capture()), (Live{0, 0}));
  EXPECT_EQ(Header()->stale_records, 1u);
}

TEST(Tracker, BlocksOfOneThreadAreFreedByAnother) {
  RecordedGuest guest;
  std::thread([] {
    for (uint64_t i = 0; i < 500; ++i) Born(kBlock + i * 64, 64);
  }).join();
  for (uint64_t i = 0; i < 400; ++i) Freed(kBlock + i * 64);
  EXPECT_EQ(LiveHeap(guest.Capture()), (Live{100, 6400}));
}

TEST(Tracker, SlotsOfFreedBlocksAreUsedAgain) {
  RecordedGuest guest;
  for (int round = 0; round < 200; ++round) {
    for (uint64_t i = 0; i < 1000; ++i) Born(kBlock + i * 64, 64);
    for (uint64_t i = 0; i < 1000; ++i) Freed(kBlock + i * 64);
  }
  EXPECT_LT(g_process.pages->Header()->extents, 4u) << "memory follows the peak of live blocks, not their number";
}

TEST(Tracker, ErrnoStays) {
  RecordedGuest guest;
  errno = 77;
  Born(kBlock, 100);
  Freed(kBlock);
  EXPECT_EQ(errno, 77);
}

TEST(Tracker, SampledWeightsAreTheInverseOfTheProbability) {
  RecordedGuest guest({"LEAKHUNT_SAMPLE_BYTES=4096", "LEAKHUNT_SEED=7"});
  constexpr uint64_t kBlocks = 20'000, kBytes = 512;
  for (uint64_t i = 0; i < kBlocks; ++i) {
    if (!CountDown(kBytes)) Born(kBlock + i * 1024, kBytes);
  }
  const snapshot::Snapshot after = guest.Capture();
  double bytes = 0, variance = 0, count_variance = 0, total = 0, total_variance = 0;
  for (const snapshot::Site& site : after.sites) {
    bytes += site.live_bytes.value, variance += site.live_bytes.variance;
    count_variance += site.live_count.variance;
    total += site.total_count.value, total_variance += site.total_count.variance;
  }
  // Horvitz-Thompson: p = 1 - exp(-s/T); each sampled block stands for 1/p blocks, variance (1-p)/p^2 of their number.
  const double p = 1 - std::exp(-static_cast<double>(kBytes) / 4096);
  const double samples = bytes * p / static_cast<double>(kBytes);
  EXPECT_NEAR(bytes, kBlocks * kBytes, 5 * std::sqrt(variance));
  EXPECT_NEAR(variance, samples * (1 - p) / (p * p) * kBytes * kBytes, variance * 0.01);
  EXPECT_NEAR(count_variance, samples * (1 - p) / (p * p), count_variance * 0.01);
  EXPECT_NEAR(total, kBlocks, 5 * std::sqrt(total_variance));
  EXPECT_NEAR(total_variance, samples * (1 - p) / (p * p), total_variance * 0.01) << "as the guest itself sums it";
}

}  // namespace
}  // namespace leakhunt::core
