// The control law of the sampling interval, over readings and over simulated histories.
#include "preload/core/interval_control.h"

#include <gtest/gtest.h>

#include <cmath>

namespace leakhunt::core {
namespace {

constexpr double kOnePercent = 0.01;

// A program's load per second of its CPU time, by which readings at any interval can be made.
struct Load {
  double bytes = 50e6;      // allocated
  double blocks = 500e3;    // of equal size
  double other_visits = 0;  // descriptors
  double cpu_share = 1;     // of a processor
  double heap_unit_ns = 800;

  double SampledShare(double interval) const {
    const double size = bytes / blocks;
    return interval <= 1 ? 1 : 1 - std::exp(-size / interval);
  }
  CostReading At(double interval) const {
    CostReading reading;
    reading.cpu_ns = 0.1e9;
    reading.elapsed_s = 0.1 / cpu_share;
    const double sampled = blocks * SampledShare(interval) * 0.1;
    reading.heap_visits = 2 * sampled;
    reading.other_visits = other_visits * 0.1;
    reading.passed_blocks = blocks * 0.1 - sampled;
    reading.bytes = bytes * 0.1;
    reading.heap_unit_ns = heap_unit_ns;
    reading.other_unit_ns = 500;
    return reading;
  }
  // What sampling at the interval costs, as a share of CPU time: the visits and the blocks that are passed.
  double Cost(double interval) const {
    const CostReading reading = At(interval);
    return (reading.heap_visits * heap_unit_ns + reading.passed_blocks * kPassedBlockNs) / reading.cpu_ns;
  }
};

uint64_t Settled(const Load& load, uint64_t from, double budget = kOnePercent) {
  uint64_t interval = from;
  for (int step = 0; step < 40; ++step)
    interval = NextInterval(load.At(static_cast<double>(interval)), budget, interval);
  return interval;
}

TEST(IntervalControl, WhatStandsInTheHeadersExampleIsSo) {
  CostReading reading;
  reading.cpu_ns = 0.1e9;
  reading.elapsed_s = 0.1;
  reading.heap_visits = 2000;
  reading.heap_unit_ns = 800;
  reading.bytes = 1e9;
  EXPECT_NEAR(static_cast<double>(NextInterval(reading, kOnePercent, 64 << 10)), 102.4 * 1024, 2);
}

TEST(IntervalControl, SettlesWithinTheBudgetFromBothSides) {
  for (const uint64_t from : {uint64_t{1}, uint64_t{300}, uint64_t{64 << 10}, uint64_t{1} << 30}) {
    const Load load;
    const uint64_t interval = Settled(load, from);
    EXPECT_LE(load.Cost(static_cast<double>(interval)), kOnePercent * 1.05) << from;
    EXPECT_GE(load.Cost(static_cast<double>(interval)), kOnePercent * 0.6) << from;
  }
}

TEST(IntervalControl, AProgramThatAllocatesRarelyIsRecordedExactly) {
  Load load;
  load.blocks = 3000;
  load.bytes = 300e3;
  EXPECT_EQ(Settled(load, 64 << 10), 1u);
}

TEST(IntervalControl, ExactModeIsLeftWhenItCostsMoreThanTheBudget) {
  EXPECT_GE(NextInterval(Load().At(1), kOnePercent, 1), 256u);
}

TEST(IntervalControl, AStepIsAtMostByFour) {
  CostReading dear = Load().At(64 << 10);
  dear.heap_visits *= 1000;
  EXPECT_EQ(NextInterval(dear, kOnePercent, 64 << 10), 4u * 64 << 10);
  CostReading cheap = Load().At(64 << 10);
  cheap.heap_visits = 0;
  EXPECT_EQ(NextInterval(cheap, kOnePercent, 64 << 10), (64u << 10) / 4);
}

TEST(IntervalControl, ACostJustAboveTheBudgetIsCorrectedAndOneJustBelowIsNot) {
  CostReading reading = Load().At(64 << 10);
  reading.passed_blocks = 0;
  reading.heap_visits = kOnePercent * 1.06 * reading.cpu_ns / reading.heap_unit_ns;
  EXPECT_GT(NextInterval(reading, kOnePercent, 64 << 10), 64u << 10);
  reading.heap_visits = kOnePercent * 0.65 * reading.cpu_ns / reading.heap_unit_ns;
  EXPECT_EQ(NextInterval(reading, kOnePercent, 64 << 10), 64u << 10);
  reading.heap_visits = kOnePercent * 0.55 * reading.cpu_ns / reading.heap_unit_ns;
  EXPECT_LT(NextInterval(reading, kOnePercent, 64 << 10), 64u << 10);
}

TEST(IntervalControl, WhatPassedBlocksCostIsTakenOffUpToHalfTheBudget) {
  CostReading reading = Load().At(64 << 10);
  reading.bytes = 1e12;  // the least number of births does not bind
  reading.heap_visits = kOnePercent * reading.cpu_ns / reading.heap_unit_ns;  // all of the budget
  reading.passed_blocks = 0;
  EXPECT_EQ(NextInterval(reading, kOnePercent, 64 << 10), 64u << 10);
  reading.passed_blocks = kOnePercent * 0.25 * reading.cpu_ns / kPassedBlockNs;
  EXPECT_NEAR(static_cast<double>(NextInterval(reading, kOnePercent, 64 << 10)), (64 << 10) / 0.75, 2);
  reading.passed_blocks = kOnePercent * 100 * reading.cpu_ns / kPassedBlockNs;
  EXPECT_NEAR(static_cast<double>(NextInterval(reading, kOnePercent, 64 << 10)), (64 << 10) / 0.5, 2);
}

TEST(IntervalControl, DescriptorsLeaveTheHeapASixteenth) {
  CostReading reading = Load().At(64 << 10);
  reading.bytes = 1e12;
  reading.passed_blocks = 0;
  reading.heap_visits = kOnePercent / 16 * reading.cpu_ns / reading.heap_unit_ns;
  reading.other_visits = 1e9;
  EXPECT_EQ(NextInterval(reading, kOnePercent, 64 << 10), 64u << 10);
}

TEST(IntervalControl, AQuietServiceKeepsFiftyBirthsASecondPerPercent) {
  Load load;
  load.cpu_share = 0.03;
  load.other_visits = 1e6;  // the whole budget and more
  load.bytes = 300e6;
  load.blocks = 3e6;
  const double interval = static_cast<double>(Settled(load, 64 << 10));
  const double births_per_s = load.bytes * load.cpu_share / interval;
  EXPECT_GE(births_per_s, 50 / 1.05);
  EXPECT_GE(load.bytes * load.cpu_share / static_cast<double>(Settled(load, 64 << 10, 2 * kOnePercent)), 100 / 1.05);
}

}  // namespace
}  // namespace leakhunt::core
