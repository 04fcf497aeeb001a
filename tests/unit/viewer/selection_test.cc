// Which process of which run a report is about.
#include <gtest/gtest.h>

#include <fstream>

#include "tests/unit/snapshot/sample.h"
#include "tests/unit/viewer/run_report.h"

namespace leakhunt::testing {
namespace {

snapshot::Snapshot Process(int pid, int64_t run, int64_t started, const std::string& name) {
  snapshot::Snapshot s = SampleSnapshot();
  s.process.pid = pid;
  s.process.parent_pid = 1;
  s.process.name = name;
  s.process.image = 0;
  s.process.previous.clear();
  s.process.replaced_by_exec = false;
  s.process.run_first = false;
  s.process.run_id = "run-" + std::to_string(run);
  s.process.run_started_ms = kSampleStartMs + run;
  s.process.started_ms = kSampleStartMs + started;
  return s;
}

class Selection : public ::testing::Test {
 protected:
  std::string Chosen(std::vector<std::string> more = {}) {
    std::vector<std::string> arguments = {"top-sites", directory_.Path(), "--symbols", "off"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    Outcome outcome = Report(arguments);
    err_ = outcome.err;
    return outcome.status == 0 ? outcome.out.substr(0, outcome.out.find("  ")) : outcome.err;
  }
  TemporaryDirectory directory_;
  std::string err_;
};

TEST_F(Selection, NewestRunAndInItTheProcessStartedFirst) {
  Record(directory_.Path(), "old-1-1", {Process(1, 100, 0, "old")});
  Record(directory_.Path(), "b-3-1", {Process(3, 200, 50, "second")});
  Record(directory_.Path(), "c-2-1", {Process(2, 200, 40, "first")});
  EXPECT_EQ(Chosen(), "first[2]");
  EXPECT_TRUE(Contains(err_, "first[2] of 2 processes in the newest run; --pid PID picks another")) << err_;
  EXPECT_TRUE(Contains(err_, "1 recordings of other runs left out"));
}

TEST_F(Selection, TheProcessTheRunWasStartedForComesBeforeEarlierOnes) {
  snapshot::Snapshot first = Process(5, 200, 60, "command");
  first.process.run_first = true;
  Record(directory_.Path(), "a-4-1", {Process(4, 200, 10, "stray")});
  Record(directory_.Path(), "b-5-1", {first});
  EXPECT_EQ(Chosen(), "command[5]");
}

TEST_F(Selection, ItsLastImageAfterExecs) {
  snapshot::Snapshot shell = Process(5, 200, 10, "sh"), env = Process(5, 200, 20, "env"), server = Process(5, 200, 30, "server");
  shell.process.replaced_by_exec = env.process.replaced_by_exec = true;
  shell.process.run_first = true;
  env.process.image = 1;
  env.process.previous = "sh-5-1";
  server.process.image = 2;
  server.process.previous = "env-5-2";
  Record(directory_.Path(), "sh-5-1", {shell});
  Record(directory_.Path(), "env-5-2", {env});
  Record(directory_.Path(), "server-5-3", {server});
  EXPECT_EQ(Chosen(), "server[5]");
}

TEST_F(Selection, APidPicksAnotherEvenOfAnOlderRun) {
  Record(directory_.Path(), "old-1-1", {Process(1, 100, 0, "old")});
  Record(directory_.Path(), "new-2-1", {Process(2, 200, 0, "new")});
  EXPECT_EQ(Chosen({"--pid", "1"}), "old[1]");
  EXPECT_EQ(err_, "");
}

TEST_F(Selection, WithoutAChoiceNothingIsSaid) {
  Record(directory_.Path(), "only-1-1", {Process(1, 100, 0, "only")});
  EXPECT_EQ(Chosen(), "only[1]");
  EXPECT_EQ(err_, "");
}

TEST_F(Selection, ADamagedRecordingIsNamedAndPassedOver) {
  Record(directory_.Path(), "good-1-1", {Process(1, 100, 0, "good")});
  std::filesystem::create_directories(directory_.Path() / "bad-2-1");
  std::ofstream(directory_.Path() / "bad-2-1" / "snapshot-000001.lhs") << "not one";
  EXPECT_EQ(Chosen(), "good[1]");
  EXPECT_TRUE(Contains(err_, "snapshot-000001.lhs is not a leakhunt snapshot")) << err_;
}

TEST_F(Selection, OnlyDamagedRecordingsAreAnError) {
  std::filesystem::create_directories(directory_.Path() / "bad-2-1");
  std::ofstream(directory_.Path() / "bad-2-1" / "snapshot-000001.lhs") << "not one";
  Outcome outcome = Report({"top-sites", directory_.Path()});
  EXPECT_EQ(outcome.status, 1);
  EXPECT_TRUE(Contains(outcome.err, "is not a leakhunt snapshot"));
}

TEST_F(Selection, ADamagedOldSnapshotCostsOnlyItself) {
  std::vector<snapshot::Snapshot> snapshots;
  for (uint32_t i = 1; i <= 4; ++i) {
    snapshots.push_back(SampleSnapshot(i));
  }
  auto recording = Record(directory_.Path(), "x-1-1", snapshots);
  std::filesystem::resize_file(recording / "snapshot-000002.lhs", 300);
  Outcome outcome = Report({"top-sites", directory_.Path(), "--symbols", "off"});
  EXPECT_EQ(outcome.status, 0);
  EXPECT_TRUE(Contains(outcome.out, "+16.3 KiB/s")) << outcome.out;
  EXPECT_TRUE(Contains(outcome.err, "truncated at 300"));
}

}  // namespace
}  // namespace leakhunt::testing
