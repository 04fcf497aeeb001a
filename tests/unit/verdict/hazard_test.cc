#include "collector/verdict/hazard.h"

#include <gtest/gtest.h>

#include <cmath>

namespace leakhunt::verdict {
namespace {

using snapshot::Cohort;

Cohort Bin(int b, uint64_t samples) {
  return {b * 1000, (b + 1) * 1000, samples, static_cast<double>(samples), static_cast<double>(samples)};
}

// Ten bins of 100 blocks; at 10 s all live, at 20 s `left` of each.
History TwoMoments(uint64_t left) {
  History history;
  history.points.resize(1);
  history.points[0].time_ms = 20'000;
  history.points[0].freed_samples = static_cast<double>(100 - left) * 10;
  CohortSet then{10'000, {}};
  for (int b = 0; b < 10; ++b) {
    then.cohorts.push_back(Bin(b, 100));
    if (left) history.cohorts.push_back(Bin(b, left));
  }
  history.earlier.push_back(then);
  return history;
}

TEST(LateHazard, OldBlocksThatAllStayHaveNone) {
  LateHazard hazard = FindLateHazard(TwoMoments(100), 0, 2000, 20'000);
  ASSERT_TRUE(hazard.known);
  EXPECT_EQ(hazard.deaths, 0);
  EXPECT_EQ(hazard.expected, 0);
  EXPECT_LT(hazard.expected_high, 0.02);
}

TEST(LateHazard, DeathsAreCountedOverTheTimeWatched) {
  // 8 bins are older than 2 s at 10 s: 800 at risk, 400 die within 10 s, mean exposure 600 blocks x 10 s.
  LateHazard hazard = FindLateHazard(TwoMoments(50), 0, 2000, 20'000);
  EXPECT_DOUBLE_EQ(hazard.at_risk, 800);
  EXPECT_DOUBLE_EQ(hazard.deaths, 400);
  EXPECT_NEAR(hazard.expected, 400.0 / 6000 * 20, 1e-9);
}

TEST(LateHazard, CohortsThatVanishedWholeAreDeaths) {
  LateHazard hazard = FindLateHazard(TwoMoments(0), 0, 2000, 20'000);
  EXPECT_DOUBLE_EQ(hazard.deaths, 800);
}

TEST(LateHazard, CoarserLaterCohortsAreComparedOnTheirOwnEdges) {
  History history = TwoMoments(100);
  std::vector<Cohort> coarse;
  for (int b = 0; b < 10; b += 4) {  // 4 s wide, the last one half filled
    uint64_t samples = b + 4 <= 10 ? 400 : 200;
    coarse.push_back({b * 1000, (b + 4) * 1000, samples, 0, static_cast<double>(samples)});
  }
  history.cohorts = coarse;
  EXPECT_EQ(FindLateHazard(history, 0, 2000, 20'000).deaths, 0);
}

TEST(LateHazard, FromLifetimesWhenNothingEarlierIsKnown) {
  History history = TwoMoments(100);
  history.earlier.clear();
  history.points[0].lifetimes[3] = 5000;  // 40–80 ms: young deaths do not count
  LateHazard hazard = FindLateHazard(history, 0, 2000, 20'000);
  ASSERT_TRUE(hazard.known);
  EXPECT_EQ(hazard.deaths, 0);
  history.points[0].lifetimes[12] = 300;  // 20–41 s
  EXPECT_EQ(FindLateHazard(history, 0, 2000, 20'000).deaths, 300);
}

TEST(LateHazard, HandlesWithoutLifetimesCountEveryCloseAsOld) {
  History history = TwoMoments(100);
  history.earlier.clear();
  history.handles = true;
  history.points[0].freed_samples = 77;
  EXPECT_EQ(FindLateHazard(history, 0, 2000, 20'000).deaths, 77);
}

TEST(Poisson, LimitsAndTailsMatchTheTables) {
  EXPECT_NEAR(PoissonHigh(0), 3.689, 0.05);
  EXPECT_NEAR(PoissonHigh(10), 18.39, 0.05);
  EXPECT_NEAR(PoissonAtMost(0, 3), std::exp(-3), 1e-12);
  EXPECT_NEAR(PoissonAtMost(2, 5), 0.1247, 0.0001);
}

}  // namespace
}  // namespace leakhunt::verdict
