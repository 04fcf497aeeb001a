#include "collector/verdict/cohorts.h"

#include <gtest/gtest.h>

namespace leakhunt::verdict {
namespace {

using snapshot::Cohort;

std::vector<Cohort> Evenly(int bins, uint64_t each) {
  std::vector<Cohort> cohorts;
  for (int b = 0; b < bins; ++b) {
    cohorts.push_back({b * 1000, (b + 1) * 1000, each, static_cast<double>(each) * 10, static_cast<double>(each)});
  }
  return cohorts;
}

History Bare(int64_t end_ms) {
  History history;
  history.process_started_ms = 0;
  history.points.resize(1);
  history.points[0].time_ms = end_ms;
  return history;
}

TEST(BornIn, CountsACohortAcrossTheLimitByItsShare) {
  auto cohorts = Evenly(4, 100);
  EXPECT_DOUBLE_EQ(BornIn(cohorts, 0, 4000, Measure::kBlocks), 400);
  EXPECT_DOUBLE_EQ(BornIn(cohorts, 500, 1500, Measure::kBlocks), 100);
  EXPECT_DOUBLE_EQ(BornIn(cohorts, 1000, 2000, Measure::kBytes), 1000);
  EXPECT_DOUBLE_EQ(BornIn(cohorts, 4000, 9000, Measure::kSamples), 0);
}

TEST(Spread, EvenSurvivorsDoNotDeviate) {
  Spread spread = FindSpread(Evenly(20, 10), 0, 20'000, Clock(Bare(20'000), 0, 20'000), Measure::kBlocks);
  EXPECT_LT(spread.deviation, 1e-9);
  EXPECT_DOUBLE_EQ(spread.samples, 200);
}

TEST(Spread, SurvivorsOfTheYoungerHalfOnlyDeviateByHalf) {
  auto cohorts = Evenly(20, 10);
  cohorts.erase(cohorts.begin(), cohorts.begin() + 10);
  Spread spread = FindSpread(cohorts, 0, 20'000, Clock(Bare(20'000), 0, 20'000), Measure::kBlocks);
  EXPECT_NEAR(spread.deviation, 0.5, 1e-9);
}

TEST(Spread, FollowsActivityWhenTheProcessSleptHalfOfTheTime) {
  History history = Bare(20'000);
  for (int64_t t = 0; t <= 20'000; t += 1000) {
    history.activity.push_back({t, static_cast<uint64_t>(t < 10'000 ? t * 100 : 1'000'000)});
  }
  history.points[0].activity = 1e6;
  auto cohorts = Evenly(10, 10);  // nothing was born while it slept
  Spread spread = FindSpread(cohorts, 0, 20'000, Clock(history, 0, 20'000), Measure::kBlocks);
  EXPECT_LT(spread.deviation, 0.01);
}

TEST(Spread, BurstsAreDispersedAndASlowDeclineIsNot) {
  Clock clock(Bare(20'000), 0, 20'000);
  std::vector<Cohort> bursts, decline;
  for (int b = 0; b < 20; ++b) {
    auto falling = static_cast<uint64_t>(400 - 18 * b);
    decline.push_back({b * 1000, (b + 1) * 1000, falling, 0, static_cast<double>(falling)});
    if (b % 4 == 0) bursts.push_back({b * 1000, (b + 1) * 1000, 400, 0, 400});
  }
  EXPECT_GT(FindSpread(bursts, 0, 20'000, clock, Measure::kBlocks).dispersion, 100);
  EXPECT_LT(FindSpread(decline, 0, 20'000, clock, Measure::kBlocks).dispersion, 2);
}

TEST(Spread, NoSurvivorsDeviateFully) {
  Spread spread = FindSpread({}, 0, 20'000, Clock(Bare(20'000), 0, 20'000), Measure::kBlocks);
  EXPECT_EQ(spread.deviation, 1);
  EXPECT_EQ(spread.samples, 0);
}

TEST(Clock, ActivityAndItsInverseAgree) {
  History history = Bare(10'000);
  history.activity = {{0, 0}, {5000, 900}, {10'000, 1000}};
  history.points[0].activity = 1000;
  Clock clock(history, 0, 10'000);
  EXPECT_NEAR(clock.At(ClockKind::kActivity, 5000), 0.9, 1e-9);
  EXPECT_NEAR(clock.At(ClockKind::kWall, 5000), 0.5, 1e-9);
  for (double fraction : {0.1, 0.45, 0.9, 0.95}) {
    EXPECT_NEAR(clock.At(ClockKind::kActivity, clock.When(ClockKind::kActivity, fraction)), fraction, 0.001);
  }
}

TEST(Clock, WithoutActivityIsWallTime) {
  Clock clock(Bare(10'000), 0, 10'000);
  EXPECT_NEAR(clock.At(ClockKind::kActivity, 2500), 0.25, 1e-9);
}

}  // namespace
}  // namespace leakhunt::verdict
