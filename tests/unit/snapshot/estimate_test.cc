#include "collector/snapshot/estimate.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

namespace leakhunt::snapshot {
namespace {

TEST(Limits, ExactSumHasNoSpread) {
  Estimate e = Limits({10, 12345, 0, 0, 0, 0});
  EXPECT_EQ(e.low, 12345);
  EXPECT_EQ(e.value, 12345);
  EXPECT_EQ(e.high, 12345);
}

TEST(Limits, NothingSeenIsNothing) {
  Estimate e = Limits({});
  EXPECT_EQ(e.low, 0);
  EXPECT_EQ(e.high, 0);
}

TEST(Limits, WhatMovedWidensAndNeverGoesBelowZero) {
  Estimate e = Limits({1, 100, 0, 0, 150, 30});
  EXPECT_EQ(e.low, 0);
  EXPECT_EQ(e.value, 100);
  EXPECT_EQ(e.high, 130);
}

// With unit weights the sum is a Poisson count, whose exact (Garwood) limits are in every table.
TEST(Limits, UnitWeightsGiveTheExactPoissonLimits) {
  struct { double count, low, high; } table[] = {{1, 0.0253, 5.572}, {5, 1.623, 11.668}, {10, 4.795, 18.390}, {100, 81.36, 121.63}};
  for (const auto& row : table) {
    Estimate e = Limits({static_cast<uint64_t>(row.count), row.count, row.count, 1, 0, 0});
    EXPECT_NEAR(e.low, row.low, 0.005 * row.low + 0.0005) << row.count;
    EXPECT_NEAR(e.high, row.high, 0.005 * row.high) << row.count;
  }
}

TEST(Limits, HugeShapesStayFiniteAndOrdered) {
  for (double value : {1.0, 1e6, 1e12, 1e15}) {
    for (double variance : {1e-6, 1.0, 1e9, 1e18}) {
      Estimate e = Limits({1, value, variance, 4096, 0, 0});
      EXPECT_TRUE(std::isfinite(e.low) && std::isfinite(e.high)) << value << " " << variance;
      EXPECT_LE(e.low, value);
      EXPECT_GE(e.high, value);
      EXPECT_GE(e.low, 0);
    }
  }
}

// Poisson sampling by bytes of 2,000 blocks of 64 bytes to 64 KiB at T = 16 KiB. 2,000 seeded trials: the share of intervals
// that hold the truth has a standard error of 0.5 %; Fay and Feuer's limits are conservative, so only the lower side is tight.
TEST(Limits, CoverTheTruthOfASampledSite) {
  constexpr double kInterval = 16384;
  constexpr int kTrials = 2000;
  std::mt19937_64 random(20231114);
  std::vector<double> sizes;
  double truth = 0;
  for (int i = 0; i < 2000; ++i) {
    sizes.push_back(std::pow(2.0, 6 + static_cast<double>(random() % 1000) / 100));
    truth += sizes.back();
  }
  int covered = 0;
  double mean = 0;
  std::uniform_real_distribution<double> uniform;
  for (int trial = 0; trial < kTrials; ++trial) {
    Weighted sum;
    for (double size : sizes) {
      double p = size >= kInterval ? 1 : 1 - std::exp(-size / kInterval);
      if (uniform(random) >= p) continue;
      double weight = size / p;
      sum += {1, weight, (1 - p) * weight * weight, p < 1 ? weight : 0, 0, 0};
    }
    Estimate e = Limits(sum);
    covered += e.low <= truth && truth <= e.high ? 1 : 0;
    mean += sum.value / kTrials;
  }
  double share = static_cast<double>(covered) / kTrials;
  RecordProperty("coverage", std::to_string(share));
  EXPECT_GE(share, 0.935);
  EXPECT_LE(share, 0.995);
  EXPECT_NEAR(mean / truth, 1, 0.005);
}

TEST(Weighted, SumsAddAndTheLargestWeightIsTheLargest) {
  Weighted a{1, 10, 4, 3, 1, 2};
  a += {2, 20, 5, 7, 10, 20};
  EXPECT_EQ(a.samples, 3u);
  EXPECT_EQ(a.value, 30);
  EXPECT_EQ(a.variance, 9);
  EXPECT_EQ(a.largest_weight, 7);
  EXPECT_EQ(a.moved_down, 11);
  EXPECT_EQ(a.moved_up, 22);
}

}  // namespace
}  // namespace leakhunt::snapshot
