// findings and summary are about every process of the run: a leak under a shell is not hidden by the shell.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/unit/snapshot/sample.h"
#include "tests/unit/viewer/run_report.h"

namespace leakhunt::testing {
namespace {

using nlohmann::json;

constexpr uint32_t kSnapshots = 30;

// A process of the run: its site grows by so much from snapshot to snapshot.
std::vector<snapshot::Snapshot> Process(int pid, const std::string& name, double growth, bool first) {
  std::vector<snapshot::Snapshot> snapshots;
  for (uint32_t i = 1; i <= kSnapshots; ++i) {
    snapshot::Snapshot s = SampleSnapshot(i);
    s.process.pid = pid;
    s.process.name = name;
    s.process.run_id = "run";
    s.process.run_started_ms = kSampleStartMs;
    s.process.run_first = first;
    s.process.image = 0;
    s.process.previous.clear();
    s.process.replaced_by_exec = false;
    s.process.started_ms = kSampleStartMs + pid;
    s.time_ms = kSampleStartMs + i * int64_t{60'000};
    s.sites.resize(1);
    s.sites[0].live_bytes = snapshot::Weighted{.samples = 100 * i, .value = 1e6 + growth * i};
    s.sites[0].live_count = snapshot::Weighted{.samples = 100 * i, .value = 100.0 * i};
    s.sites[0].first_seen_ms = kSampleStartMs;
    s.handle_sites.clear();
    snapshots.push_back(s);
  }
  return snapshots;
}

class RunFindings : public ::testing::Test {
 protected:
  RunFindings() {
    Record(directory_.Path(), "sh-10-1", Process(10, "sh", 0, true));
    Record(directory_.Path(), "service-20-1", Process(20, "service", 1e6, false));
    Record(directory_.Path(), "helper-30-1", Process(30, "helper", 0, false));
  }
  Outcome Run(std::vector<std::string> words) {
    words.insert(words.begin() + (words.empty() || words[0] == "--format" ? 0 : 1), directory_.Path());
    words.insert(words.end(), {"--symbols", "off"});
    return Report(words);
  }
  TemporaryDirectory directory_;
};

TEST_F(RunFindings, TheOneThatGrowsComesFirstAndTheOthersAreNamed) {
  const Outcome outcome = Run({"findings"});
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_TRUE(Contains(outcome.out, "3 processes of this run")) << outcome.out;
  const size_t service = outcome.out.find("service[20]");
  EXPECT_LT(service, outcome.out.find("sh[10]: no leak found")) << outcome.out;
  EXPECT_LT(service, outcome.out.find("helper[30]: no leak found")) << outcome.out;
}

TEST_F(RunFindings, FailOnLooksAtEveryProcessUnlessOneIsPicked) {
  EXPECT_EQ(Run({"findings", "--fail-on", "growing-unproven"}).status, 3);
  EXPECT_EQ(Run({"findings", "--fail-on", "growing-unproven", "--pid", "20"}).status, 3);
  EXPECT_EQ(Run({"findings", "--fail-on", "growing-unproven", "--pid", "10"}).status, 0);
}

TEST_F(RunFindings, TheJsonIsThatOfTheWorstAndHasAll) {
  const json answer = json::parse(Run({"findings", "--format", "json"}).out);
  EXPECT_EQ(answer["schema"], "leakhunt/trend/1");
  EXPECT_EQ(answer["process"]["pid"], 20);
  ASSERT_EQ(answer["processes"].size(), 3u);
  EXPECT_EQ(answer["processes"][0]["process"]["pid"], 20);
  EXPECT_EQ(answer["processes"][0]["findings"].size(), 1u);
  EXPECT_EQ(answer["processes"][1]["findings"].size(), 0u);
  const json one = json::parse(Run({"findings", "--format", "json", "--pid", "10"}).out);
  EXPECT_EQ(one["process"]["pid"], 10);
  EXPECT_FALSE(one.contains("processes"));
}

TEST_F(RunFindings, TheCsvNamesTheProcess) {
  const std::string out = Run({"findings", "--format", "csv"}).out;
  EXPECT_TRUE(Contains(out, ",20,service\n")) << out;
}

TEST_F(RunFindings, TheSummaryIsOneRowPerProcessWorstFirst) {
  const Outcome outcome = Run({"summary"});
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_LT(outcome.out.find("service[20]"), outcome.out.find("sh[10]")) << outcome.out;
  EXPECT_TRUE(Contains(outcome.out, "helper[30]"));
  EXPECT_TRUE(Contains(outcome.out, "next: leakhunt-report findings ")) << outcome.out;
  EXPECT_TRUE(Contains(outcome.out, "--pid 20\n")) << outcome.out;
}

TEST_F(RunFindings, WithoutACommandItIsTheSummary) {
  const json answer = json::parse(Run({"--format", "json"}).out);
  EXPECT_EQ(answer["schema"], "leakhunt/summary/1");
  ASSERT_EQ(answer["processes"].size(), 3u);
  EXPECT_EQ(answer["processes"][0]["process"]["pid"], 20);
  EXPECT_EQ(answer["processes"][0]["verdict"], "growing-unproven");
  EXPECT_GT(answer["processes"][0]["rate_bytes_per_s"], 10'000);
}

TEST_F(RunFindings, ASnapshotThatOneProcessLacksLeavesItOut) {
  Record(directory_.Path(), "brief-40-1", {Process(40, "brief", 0, false).front()});
  const Outcome outcome = Run({"findings", "--snapshot", "20", "--format", "json"});
  EXPECT_EQ(outcome.status, 0);
  EXPECT_EQ(json::parse(outcome.out)["processes"].size(), 3u);
  EXPECT_TRUE(Contains(outcome.err, "no snapshot 20 in")) << outcome.err;
  EXPECT_EQ(Run({"findings", "--snapshot", "777"}).status, 1);
}

}  // namespace
}  // namespace leakhunt::testing
