#include "collector/verdict/alert.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace leakhunt::verdict {
namespace {

AlertInput Leak(double per_s, double seconds_left, std::vector<uint64_t> sites = {1}) {
  AlertInput input;
  input.time_ms = 1'700'000'000'000;
  input.watched_ms = 600'000;
  input.process.confidence = 0.95;
  input.name = "server";
  input.pid = 4242;
  input.process.verdict = Verdict::kLeaking;
  input.process.growth = GrowthClass::kHeap;
  input.process.rate_per_s = {per_s, per_s * 0.95, per_s * 1.05};
  input.process.limit = TimeToLimit{"cgroup", 1e9, 5e8, seconds_left, seconds_left * 0.9, seconds_left * 1.1};
  for (uint64_t id : sites) {
    Suspect suspect;
    suspect.place = "handler" + std::to_string(id) + " server.cc:42";
    suspect.id = id;
    suspect.rate_per_s = {per_s, per_s, per_s};
    input.suspects.push_back(suspect);
  }
  return input;
}

AlertInput Quiet() {
  AlertInput input = Leak(0, 1e9, {});
  input.process.verdict = Verdict::kBounded;
  input.process.limit.reset();
  input.process.text = "stable, at most 1.0 KiB/min with 95 % confidence";
  return input;
}

TEST(Alert, IsRaisedOnceAndNotRepeated) {
  AlertState state;
  auto alert = state.Update(Leak(1000, 1e6));
  ASSERT_TRUE(alert);
  EXPECT_EQ(alert->kind, AlertKind::kRaised);
  for (int i = 0; i < 50; ++i) EXPECT_FALSE(state.Update(Leak(1000 + i, 1e6 - i)));
}

TEST(Alert, WaitsForTwoMinutesUnlessTheLimitIsNearer) {
  AlertState state;
  AlertInput young = Leak(1000, 1e6);
  young.watched_ms = 119'000;
  EXPECT_FALSE(state.Update(young));
  EXPECT_FALSE(state.raised());
  AlertInput urgent = Leak(1000, 100);
  urgent.watched_ms = 20'000;
  EXPECT_TRUE(AlertState().Update(urgent));
  EXPECT_TRUE(state.Update(Leak(1000, 1e6)));
}

TEST(Alert, WaitsForConfidence) {
  AlertState state;
  AlertInput unsure = Leak(1000, 100);
  unsure.process.confidence = 0.89;
  EXPECT_FALSE(state.Update(unsure));
  EXPECT_TRUE(state.Update(Leak(1000, 1e6)));
}

TEST(Alert, IsSaidAgainWhenTheRateDoubles) {
  AlertState state;
  ASSERT_TRUE(state.Update(Leak(1000, 1e6)));
  EXPECT_FALSE(state.Update(Leak(1900, 1e6)));
  auto alert = state.Update(Leak(2500, 1e6));
  ASSERT_TRUE(alert);
  EXPECT_EQ(alert->kind, AlertKind::kChanged);
  EXPECT_EQ(alert->reason, "the rate has doubled");
  EXPECT_FALSE(state.Update(Leak(2600, 1e6)));
}

TEST(Alert, IsSaidAgainForANewSuspectOnly) {
  AlertState state;
  ASSERT_TRUE(state.Update(Leak(1000, 1e6, {1, 2})));
  EXPECT_FALSE(state.Update(Leak(1000, 1e6, {2})));
  EXPECT_FALSE(state.Update(Leak(1000, 1e6, {2, 1})));
  auto alert = state.Update(Leak(1000, 1e6, {1, 3}));
  ASSERT_TRUE(alert);
  EXPECT_EQ(alert->reason, "a new suspect");
}

TEST(Alert, IsSaidAtEachStepTowardsTheLimitOnce) {
  AlertState state;
  ASSERT_TRUE(state.Update(Leak(1000, 7200)));
  EXPECT_TRUE(state.Update(Leak(1000, 3500)));
  EXPECT_FALSE(state.Update(Leak(1000, 3700)));
  EXPECT_FALSE(state.Update(Leak(1000, 3400)));
  auto alert = state.Update(Leak(1000, 800));
  ASSERT_TRUE(alert);
  EXPECT_EQ(alert->reason, "less than 15 min to the limit");
  EXPECT_TRUE(state.Update(Leak(1000, 200)));
  EXPECT_FALSE(state.Update(Leak(1000, 100)));
}

TEST(Alert, ClearsAfterThreeQuietVerdictsAndMayRiseAgain) {
  AlertState state;
  EXPECT_FALSE(state.Update(Quiet()));
  ASSERT_TRUE(state.Update(Leak(1000, 1e6)));
  EXPECT_FALSE(state.Update(Quiet()));
  EXPECT_FALSE(state.Update(Quiet()));
  EXPECT_FALSE(state.Update(Leak(1000, 1e6)));  // flickered: not cleared, not raised again
  EXPECT_FALSE(state.Update(Quiet()));
  EXPECT_FALSE(state.Update(Quiet()));
  auto alert = state.Update(Quiet());
  ASSERT_TRUE(alert);
  EXPECT_EQ(alert->kind, AlertKind::kCleared);
  EXPECT_FALSE(state.raised());
  EXPECT_TRUE(state.Update(Leak(1000, 1e6)));
}

TEST(Alert, LineNamesRateLimitAndSuspects) {
  AlertState state;
  std::string line = AlertLine(*state.Update(Leak(2.0 * (1 << 20) / 60, 960, {1, 2, 3, 4})));
  EXPECT_EQ(line,
            "LEAK: server[4242] 2.0 MiB/min, 16 min to the cgroup limit; suspects: handler1 server.cc:42 (2.0 MiB/min), "
            "handler2 server.cc:42 (2.0 MiB/min), handler3 server.cc:42 (2.0 MiB/min), 1 more");
}

AlertInput MemoryAndHandles() {
  AlertInput input = Leak(2.0 * (1 << 20) / 60, 960);
  input.process.handles_per_s = {1.5, 1.4, 1.6};
  input.process.limit = TimeToLimit{"RLIMIT_NOFILE", 1024, 500, 300, 290, 310};
  input.process.causes = {{GrowthClass::kHeap, input.process.rate_per_s, std::nullopt},
                          {GrowthClass::kHandle, input.process.handles_per_s, input.process.limit}};
  return input;
}

TEST(Alert, LineGivesMemoryAndHandlesEachTheirOwnRateAndLimit) {
  AlertInput input = MemoryAndHandles();
  EXPECT_EQ(AlertLine({AlertKind::kRaised, "", input}).find(
                "LEAK: server[4242] 2.0 MiB/min; 90 handles/min, 5 min to the RLIMIT_NOFILE limit; suspects: "), 0u)
      << AlertLine({AlertKind::kRaised, "", input});
  input.process.causes.front().limit = TimeToLimit{"cgroup", 1e9, 5e8, 960, 900, 1000};
  EXPECT_EQ(AlertLine({AlertKind::kRaised, "", input}).find(
                "LEAK: server[4242] 2.0 MiB/min, 16 min to the cgroup limit; 90 handles/min, 5 min to the RLIMIT_NOFILE"), 0u);
  EXPECT_DOUBLE_EQ(nlohmann::json::parse(AlertJson({AlertKind::kRaised, "", input}))["time_to_limit_s"], 300);
}

// Without a leak of memory `rate_per_s` is that of RSS, which fragmentation or a cache may be.
TEST(Alert, OfHandlesSaysNothingOfHowMemoryGrows) {
  AlertState state;
  AlertInput input = MemoryAndHandles();
  input.process.growth = GrowthClass::kFragmentation;
  input.process.causes.front() = {GrowthClass::kFragmentation, input.process.rate_per_s,
                                  TimeToLimit{"cgroup", 1e9, 5e8, 60, 50, 70}};
  auto alert = state.Update(input);
  ASSERT_TRUE(alert);
  EXPECT_EQ(AlertLine(*alert).find("LEAK: server[4242] 90 handles/min, 5 min to the RLIMIT_NOFILE limit; suspects"), 0u)
      << AlertLine(*alert);
  input.process.rate_per_s = {1e9, 1e9, 1e9};
  EXPECT_FALSE(state.Update(input));
}

TEST(Alert, ClearedLineSaysWhatIsKnownNow) {
  EXPECT_EQ(AlertLine({AlertKind::kCleared, "", Quiet()}),
            "LEAK CLEARED: server[4242] stable, at most 1.0 KiB/min with 95 % confidence");
}

TEST(Alert, JsonCarriesTheSame) {
  AlertState state;
  AlertInput input = Leak(1000, 960);
  input.suspects[0].place = "broken \xff text";
  auto json = nlohmann::json::parse(AlertJson(*state.Update(input)));
  EXPECT_EQ(json["schema"], "leakhunt/alert/1");
  EXPECT_EQ(json["state"], "raised");
  EXPECT_EQ(json["process"]["pid"], 4242);
  EXPECT_EQ(json["limit"]["kind"], "cgroup");
  EXPECT_DOUBLE_EQ(json["time_to_limit_s"], 960);
  EXPECT_EQ(json["suspects"].size(), 1u);
}

}  // namespace
}  // namespace leakhunt::verdict
