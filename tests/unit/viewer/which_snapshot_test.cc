// Which snapshot a name means, and what a program that frees everything at its end is said to hold.
#include "viewer/which_snapshot.h"

#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "tests/unit/snapshot/sample.h"
#include "tests/unit/viewer/run_report.h"

namespace leakhunt::testing {
namespace {

constexpr int64_t kMinuteMs = 60'000;

// Snapshots a minute apart, each with one site of so many live bytes and so many open handles.
class WhichSnapshot : public ::testing::Test {
 protected:
  void Add(double live_bytes, uint64_t handles = 0, const std::string& label = "") {
    const auto number = static_cast<uint32_t>(snapshots_.size() + 1);
    snapshot::Snapshot s = SampleSnapshot(number);
    s.time_ms = kSampleStartMs + number * kMinuteMs;
    s.label = label;
    s.sites.resize(1);
    s.sites[0].live_bytes = snapshot::Weighted{.samples = 10, .value = live_bytes};
    s.handle_totals.open = handles;
    s.process.end = snapshot::End::kRunning;
    s.process.ended_ms = 0;
    s.process.exit_status.reset();
    snapshots_.push_back(s);
  }
  void End(snapshot::End end) {
    snapshot::ProcessInfo& process = snapshots_.back().process;
    process.end = end;
    process.ended_ms = snapshots_.back().time_ms;
    process.replaced_by_exec = false;
    if (end == snapshot::End::kExit) process.exit_status = 5;
    snapshots_.back().reason = end == snapshot::End::kExit ? "exit" : "death";
  }
  std::filesystem::path Write() { return Record(directory_.Path(), "subject-1-1", snapshots_); }

  // The number of the snapshot that the report shows; 0 when it shows none.
  int Shown(const std::string& which = "") {
    Write();
    std::vector<std::string> words = {"top-sites", directory_.Path(), "--symbols", "off", "--format", "json"};
    if (!which.empty()) words.insert(words.end(), {"--snapshot", which});
    outcome_ = Report(words);
    if (outcome_.status != 0) return 0;
    answer_ = nlohmann::json::parse(outcome_.out);
    return answer_["snapshot"]["number"];
  }

  TemporaryDirectory directory_;
  std::vector<snapshot::Snapshot> snapshots_;
  Outcome outcome_;
  nlohmann::json answer_;
};

TEST_F(WhichSnapshot, LastOfAProcessThatFreedEverythingIsTheOneBefore) {
  Add(1e6), Add(2e6), Add(100);
  End(snapshot::End::kExit);
  EXPECT_EQ(Shown(), 2);
  EXPECT_EQ(answer_["process"]["end"], "exit") << "how it ended is told all the same";
  EXPECT_EQ(answer_["process"]["exit_status"], 5);
  EXPECT_EQ(Shown("end"), 3);
}

TEST_F(WhichSnapshot, LastOfAProcessThatClosedItsDescriptorsIsTheOneBefore) {
  Add(1e6, 500), Add(1e6, 3);
  End(snapshot::End::kExit);
  EXPECT_EQ(Shown(), 1);
}

TEST_F(WhichSnapshot, LastOfAProcessThatKeptWhatItHadIsTheEnd) {
  Add(1e6, 20), Add(0.9e6, 19);
  End(snapshot::End::kExit);
  EXPECT_EQ(Shown(), 2);
}

TEST_F(WhichSnapshot, LastOfAKilledProcessIsItsDeath) {
  Add(2e6, 500), Add(100, 1);
  End(snapshot::End::kSignal);
  EXPECT_EQ(Shown(), 2) << "a signal frees nothing: the memory was gone before";
}

TEST_F(WhichSnapshot, LastOfARunningProcessIsTheNewest) {
  Add(2e6), Add(100);
  EXPECT_EQ(Shown(), 2);
}

TEST_F(WhichSnapshot, PeakIsWhereMostWasLive) {
  Add(1e6), Add(5e6), Add(2e6);
  EXPECT_EQ(Shown("peak"), 2);
}

TEST_F(WhichSnapshot, ByAgeAndByTimeOfDay) {
  for (int i = 0; i < 10; ++i) Add(1e6);
  EXPECT_EQ(Shown("-5m"), 5);
  EXPECT_EQ(Shown("-90s"), 8);
  EXPECT_EQ(Shown("-2d"), 0);
  EXPECT_TRUE(Contains(outcome_.err, "is as old as -2d")) << outcome_.err;
  const auto time = static_cast<time_t>((kSampleStartMs + 4 * kMinuteMs) / 1000);
  char of_day[16];
  strftime(of_day, sizeof(of_day), "%H:%M:%S", gmtime(&time));
  EXPECT_EQ(Shown(of_day), 4);
}

TEST_F(WhichSnapshot, ByLabelTheNewest) {
  Add(1e6, 0, "warm"), Add(1e6, 0, "warm"), Add(1e6);
  EXPECT_EQ(Shown("warm"), 2);
  EXPECT_EQ(Shown("cold"), 0);
  EXPECT_EQ(outcome_.status, 2);
  EXPECT_TRUE(Contains(outcome_.err, "cold is not a snapshot of")) << outcome_.err;
}

TEST_F(WhichSnapshot, ByNumber) {
  Add(1e6), Add(1e6);
  EXPECT_EQ(Shown("1"), 1);
  EXPECT_EQ(Shown("first"), 1);
  EXPECT_EQ(Shown("7"), 0);
  EXPECT_TRUE(Contains(outcome_.err, "it has 2 of them, the last is 2")) << outcome_.err;
}

TEST_F(WhichSnapshot, ADamagedNewestOneIsNamedOnceAndTheGoodOnesAreUsed) {
  Add(1e6), Add(2e6), Add(3e6);
  const std::filesystem::path recording = Write();
  std::filesystem::resize_file(recording / "snapshot-000003.lhs", 100);
  for (const auto& [which, number] :
       std::vector<std::pair<std::string, int>>{{"last", 2}, {"end", 2}, {"1", 1}, {"peak", 2}}) {
    outcome_ = Report({"top-sites", directory_.Path(), "--symbols", "off", "--format", "json", "--snapshot", which});
    ASSERT_EQ(outcome_.status, 0) << outcome_.err;
    EXPECT_EQ(nlohmann::json::parse(outcome_.out)["snapshot"]["number"], number);
    const size_t named = outcome_.err.find("snapshot-000003.lhs");
    EXPECT_NE(named, std::string::npos) << outcome_.err;
    EXPECT_EQ(outcome_.err.find("snapshot-000003.lhs", named + 1), std::string::npos) << outcome_.err;
  }
}

TEST_F(WhichSnapshot, ADamagedOneThatIsAskedForIsAnError) {
  Add(1e6), Add(2e6), Add(3e6);
  std::filesystem::resize_file(Write() / "snapshot-000002.lhs", 100);
  outcome_ = Report({"top-sites", directory_.Path(), "--snapshot", "2"});
  EXPECT_EQ(outcome_.status, 1);
  EXPECT_TRUE(Contains(outcome_.err, "truncated at 100")) << outcome_.err;
}

}  // namespace
}  // namespace leakhunt::testing
