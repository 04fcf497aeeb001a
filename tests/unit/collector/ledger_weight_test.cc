// Weights are unbiased, also when the memory bound thins what was drawn.
#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "collector/ledger/block_sums.h"
#include "collector/ledger/weight.h"
#include "preload/protocol/layout.h"

namespace leakhunt::ledger {
namespace {

uint64_t SizeInterval(uint64_t size, uint64_t interval) {
  return protocol::PackSize(size, protocol::EncodeInterval(interval));
}

TEST(Weight, ExactModeCountsPlainly) {
  for (const uint64_t interval : {0, 1}) {
    const BlockWeight weight = WeighBlock(48, interval);
    EXPECT_EQ(weight.bytes, 48);
    EXPECT_EQ(weight.count, 1);
    EXPECT_EQ(weight.bytes_variance, 0);
    EXPECT_TRUE(weight.Certain());
  }
}

TEST(Weight, ABlockOfTheIntervalOrMoreIsCertain) {
  EXPECT_TRUE(WeighBlock(4096, 4096).Certain());
  EXPECT_FALSE(WeighBlock(4095, 4096).Certain());
}

TEST(Weight, SumsAddAllOfTheirParts) {
  snapshot::Weighted sum, other;
  sum.value = 1, sum.samples = 2, sum.variance = 3, sum.largest_weight = 9, sum.moved_down = 5, sum.moved_up = 6;
  other.value = 10, other.samples = 20, other.variance = 30, other.largest_weight = 4, other.moved_down = 50, other.moved_up = 60;
  AddWeighted(&sum, other);
  EXPECT_EQ(sum.value, 11);
  EXPECT_EQ(sum.samples, 22);
  EXPECT_EQ(sum.variance, 33);
  EXPECT_EQ(sum.largest_weight, 9);
  EXPECT_EQ(sum.moved_down, 55);
  EXPECT_EQ(sum.moved_up, 66);
}

TEST(Weight, AnEmptyBlockIsDrawnLikeOneByteAndHoldsNone) {
  const BlockWeight weight = WeighBlock(0, 512);
  EXPECT_EQ(weight.bytes, 0);
  EXPECT_NEAR(weight.count, 1 / -std::expm1(-1.0 / 512), 1e-9);
  EXPECT_EQ(WeighBlock(0, 1).count, 1);
}

// Of a block that is drawn with p and then counts 1/p: 1/p² · p · (1-p) before it is drawn, hence (1-p)/p² once it is.
TEST(Weight, ADrawnBlockHasTheVarianceOfItsDraw) {
  for (const uint64_t size : {uint64_t{16}, uint64_t{1000}, uint64_t{4000}}) {
    const double p = -std::expm1(-static_cast<double>(size) / 4096);
    const BlockWeight weight = WeighBlock(size, 4096);
    EXPECT_NEAR(weight.count_variance, (1 - p) / (p * p), 1e-9 / (p * p));
    EXPECT_NEAR(weight.bytes_variance, (1 - p) * static_cast<double>(size * size) / (p * p), 1e-6 / (p * p));
  }
}

// Draws `blocks` of `size` at `interval`, thins them to `floor`, and adds up what the survivors stand for.
BlockWeight SumOfDraws(uint64_t size, uint64_t interval, uint64_t floor, int blocks, uint64_t seed) {
  std::mt19937_64 random(seed);
  RecordWeigher weigher(floor);
  const double p = WeighBlock(size, interval).probability;
  BlockWeight sum;
  sum.count = 0;
  for (int i = 0; i < blocks; ++i) {
    if (std::uniform_real_distribution<>()(random) >= p) continue;
    const BlockWeight* weight = weigher.Weigh(4096 + 32 * (i % 100'000), i + 1, SizeInterval(size, interval));
    if (weight == nullptr) continue;
    sum.bytes += weight->bytes;
    sum.count += weight->count;
    sum.bytes_variance += weight->bytes_variance;
  }
  return sum;
}

TEST(Weight, SumsAreUnbiasedWithAndWithoutAFloor) {
  constexpr int kBlocks = 400'000;
  for (const uint64_t floor : {uint64_t{0}, uint64_t{1024}, uint64_t{16'384}}) {
    for (const uint64_t interval : {uint64_t{1}, uint64_t{4096}}) {
      const uint64_t seed = floor * 31 + interval;
      const BlockWeight sum = SumOfDraws(256, interval, floor, kBlocks, seed);
      const double truth = 256.0 * kBlocks;
      const double allowed = 5 * std::sqrt(sum.bytes_variance) + 1e-6;
      EXPECT_NEAR(sum.bytes, truth, allowed) << "seed " << seed << " floor " << floor << " interval " << interval;
      EXPECT_NEAR(sum.count, kBlocks, allowed / 256) << "seed " << seed;
    }
  }
}

TEST(Weight, AFloorBelowTheDrawnIntervalChangesNothing) {
  RecordWeigher with(64), without(0);
  const uint64_t word = SizeInterval(100, 2048);
  for (uint64_t generation = 1; generation < 100; ++generation) {
    ASSERT_NE(with.Weigh(8192, generation, word), nullptr);
    EXPECT_EQ(with.Weigh(8192, generation, word)->bytes, without.Weigh(8192, generation, word)->bytes);
  }
}

TEST(Weight, NoRecordedWordGivesANumberThatIsNone) {
  std::mt19937_64 random(7);
  RecordWeigher weigher(0xFFFF'FFFF);
  for (int i = 0; i < 200'000; ++i) {
    const BlockWeight* weight = weigher.Weigh(random(), random(), random());
    if (weight == nullptr) continue;
    ASSERT_TRUE(std::isfinite(weight->bytes) && std::isfinite(weight->bytes_variance) && weight->count >= 1);
  }
}

}  // namespace
}  // namespace leakhunt::ledger
