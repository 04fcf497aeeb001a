// The sampler's claims, as statistics with stated bounds: seeds are fixed, so a pass is a pass for ever.
#include "preload/core/sampler.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace leakhunt::core {
namespace {

struct Totals {
  double bytes = 0, count = 0;  // estimates
  uint64_t samples = 0;
};

// Runs `blocks` through the common path and the sampler as the hooks do.
Totals Sample(uint64_t seed, uint64_t interval, const std::vector<uint64_t>& blocks) {
  Sampler sampler;
  uint64_t countdown = 0;
  sampler.Seed(seed);
  sampler.SetInterval(interval, &countdown);
  Totals totals;
  for (uint64_t size : blocks) {
    if (size < countdown) {
      countdown -= size;
      continue;
    }
    if (!sampler.Decide(size, &countdown)) continue;
    double p = sampler.Probability(size);
    totals.bytes += static_cast<double>(size) / p;
    totals.count += 1 / p;
    ++totals.samples;
  }
  return totals;
}

std::vector<uint64_t> Mixed(uint64_t seed, size_t count) {
  Sampler random;
  random.Seed(seed);
  std::vector<uint64_t> blocks;
  for (size_t i = 0; i < count; ++i) blocks.push_back(uint64_t{8} << (random.NextRandom() % 14));
  return blocks;
}

double Sum(const std::vector<uint64_t>& blocks) {
  double sum = 0;
  for (uint64_t size : blocks) sum += static_cast<double>(size);
  return sum;
}

class SamplerBias : public testing::TestWithParam<std::tuple<uint64_t, int>> {};

TEST_P(SamplerBias, MeanOfManySeedsIsTheTruth) {
  auto [interval, kind] = GetParam();
  std::vector<uint64_t> blocks = kind == 0 ? std::vector<uint64_t>(4000, 48) : kind == 1 ? Mixed(7, 4000) : std::vector<uint64_t>(400, 200'000);
  double truth = Sum(blocks), count = static_cast<double>(blocks.size());
  constexpr int kSeeds = 3000;
  double bytes = 0, bytes_squares = 0, blocks_mean = 0, blocks_squares = 0;
  for (int seed = 1; seed <= kSeeds; ++seed) {
    Totals totals = Sample(static_cast<uint64_t>(seed), interval, blocks);
    bytes += totals.bytes / truth;
    bytes_squares += totals.bytes / truth * totals.bytes / truth;
    blocks_mean += totals.count / count;
    blocks_squares += totals.count / count * totals.count / count;
  }
  bytes /= kSeeds, blocks_mean /= kSeeds;
  // Four standard errors of the mean: an unbiased estimator fails once in 16,000 such tests; 1e-12 for exact cases.
  double error = 4 * std::sqrt((bytes_squares / kSeeds - bytes * bytes) / kSeeds + 1e-24) + 1e-9;
  EXPECT_NEAR(bytes, 1, error);
  double count_error = 4 * std::sqrt((blocks_squares / kSeeds - blocks_mean * blocks_mean) / kSeeds + 1e-24) + 1e-9;
  EXPECT_NEAR(blocks_mean, 1, count_error);
}

INSTANTIATE_TEST_SUITE_P(IntervalsAndSizes, SamplerBias,
                         testing::Combine(testing::Values(1, 512, 4096, 65536), testing::Values(0, 1, 2)));

TEST(Sampler, VarianceIsWhatTheLimitsAssume) {
  std::vector<uint64_t> blocks = Mixed(3, 4000);
  constexpr uint64_t kInterval = 8192;
  double assumed = 0;
  for (uint64_t size : blocks) {
    double p = Sampler::Probability(size, kInterval), weight = static_cast<double>(size) / p;
    assumed += (1 - p) * p * weight * weight;  // of one Bernoulli draw
  }
  constexpr int kSeeds = 4000;
  double sum = 0, squares = 0;
  for (int seed = 1; seed <= kSeeds; ++seed) {
    double bytes = Sample(static_cast<uint64_t>(seed) * 77, kInterval, blocks).bytes;
    sum += bytes, squares += bytes * bytes;
  }
  double variance = squares / kSeeds - sum / kSeeds * sum / kSeeds;
  EXPECT_NEAR(variance / assumed, 1, 0.1);  // its own standard error is about 2.2 %
}

TEST(Sampler, EveryBlockOfTheIntervalOrMoreIsTaken) {
  for (uint64_t size : {4096u, 4097u, 100'000u}) EXPECT_EQ(Sample(11, 4096, std::vector<uint64_t>(500, size)).samples, 500u);
}

TEST(Sampler, TheFirstBlockIsNotSpecial) {
  int taken = 0;
  constexpr int kSeeds = 20'000;
  for (int seed = 1; seed <= kSeeds; ++seed) taken += static_cast<int>(Sample(static_cast<uint64_t>(seed), 1000, {100}).samples);
  double p = Sampler::Probability(100, 1000);
  EXPECT_NEAR(static_cast<double>(taken) / kSeeds, p, 4 * std::sqrt(p * (1 - p) / kSeeds));
}

TEST(Sampler, TheSameSeedGivesTheSameSamples) {
  std::vector<uint64_t> blocks = Mixed(5, 2000);
  EXPECT_EQ(Sample(42, 2048, blocks).bytes, Sample(42, 2048, blocks).bytes);
  EXPECT_NE(Sample(42, 2048, blocks).bytes, Sample(43, 2048, blocks).bytes);
}

TEST(IntervalCode, RoundTripsAndNeverExceeds) {
  for (uint64_t interval = 1; interval < (uint64_t{1} << 31); interval = interval * 5 / 3 + 1) {
    uint64_t decoded = protocol::DecodeInterval(protocol::EncodeInterval(interval));
    EXPECT_LE(decoded, interval);
    EXPECT_GT(static_cast<double>(decoded), static_cast<double>(interval) * 0.999);
    EXPECT_EQ(protocol::DecodeInterval(protocol::EncodeInterval(decoded)), decoded);
  }
}

}  // namespace
}  // namespace leakhunt::core
