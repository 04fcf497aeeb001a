// What lies in the output directory: ends that nobody saw, and the ceiling for all recordings.
#include "collector/record/output_keeper.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "collector/ingest/short_runs.h"
#include "collector/record/image_recorder.h"
#include "collector/snapshot/recording.h"
#include "fake_guest.h"

namespace leakhunt::record {
namespace {

namespace fs = std::filesystem;

constexpr uid_t kStranger = 4'000'000;
constexpr pid_t kNobody = 1 << 22;  // above every pid of the usual bound

class OutputKeeperTest : public ::testing::Test {
 protected:
  fs::path Plant(pid_t pid, int number, snapshot::End end, int64_t time_ms, const std::string& name = "cc1",
                 const std::string& other_host = "") {
    char host[256] = {};
    gethostname(host, sizeof(host) - 1);
    snapshot::Snapshot planted;
    planted.number = 1;
    planted.time_ms = time_ms;
    planted.reason = "interval";
    planted.process.pid = pid;
    planted.process.host = other_host.empty() ? host : other_host;
    planted.process.end = end;
    const fs::path recording = output_ / (name + "-" + std::to_string(pid) + "-" + std::to_string(1'700'000'000 + number));
    fs::create_directories(recording);
    EXPECT_TRUE(snapshot::WriteSnapshot(planted, recording / "snapshot-000001.lhs"));
    fs::last_write_time(recording / "snapshot-000001.lhs", fs::file_time_type::clock::now() - std::chrono::hours(100 - number));
    return recording;
  }
  OutputKeeper Keeper(uint64_t max_bytes) {
    return OutputKeeper(output_, max_bytes, [this](const fs::path& recording) { return recording == running_; },
                        [](uid_t user) { return user != kStranger; });
  }
  static size_t Files(const fs::path& recording) {
    return static_cast<size_t>(std::distance(fs::directory_iterator(recording), fs::directory_iterator()));
  }

  leakhunt::testing::TemporaryDirectory directory_;
  fs::path output_ = directory_.Path() + "/out", running_;
};

TEST_F(OutputKeeperTest, WhatEndedUnseenIsLost) {
  const int64_t now_ms = NowMs();
  const fs::path gone = Plant(kNobody, 1, snapshot::End::kRunning, now_ms);
  const fs::path ended = Plant(kNobody, 2, snapshot::End::kExit, now_ms);
  const fs::path alive = Plant(getpid(), 3, snapshot::End::kRunning, now_ms);
  const fs::path recycled = Plant(getpid(), 4, snapshot::End::kRunning, now_ms - 86'400'000);
  running_ = Plant(kNobody, 5, snapshot::End::kRunning, now_ms);
  const fs::path elsewhere = Plant(kNobody, 6, snapshot::End::kRunning, now_ms, "cc1", "another-host");  // a shared directory
  Keeper(0).MarkLost([] { return false; });
  Keeper(0).MarkLost([] { return false; });  // once is enough
  for (const fs::path& lost : {gone, recycled}) {
    ASSERT_EQ(Files(lost), 2u);
    auto last = snapshot::ReadSnapshot(lost / "snapshot-000002.lhs");
    ASSERT_TRUE(last) << last.error().message;
    EXPECT_EQ(last->process.end, snapshot::End::kLost);
    EXPECT_EQ(last->process.ended_ms, last->time_ms - 1);
  }
  for (const fs::path& left : {ended, alive, running_, elsewhere}) EXPECT_EQ(Files(left), 1u);
}

TEST_F(OutputKeeperTest, TheOldestEndedGoFirstAndNothingThatLives) {
  const int64_t now_ms = NowMs();
  const fs::path alive = Plant(getpid(), 0, snapshot::End::kRunning, now_ms);
  std::vector<fs::path> ended;
  for (int i = 1; i <= 20; ++i) ended.push_back(Plant(kNobody, i, snapshot::End::kExit, now_ms));
  running_ = Plant(kNobody, 0, snapshot::End::kRunning, now_ms, "runs");  // as old as any
  OutputKeeper keeper = Keeper(100'000);  // each takes some 8 KiB
  keeper.Wrote(running_, 0, 1);
  EXPECT_TRUE(fs::exists(alive));
  EXPECT_TRUE(fs::exists(running_));
  EXPECT_FALSE(fs::exists(ended.front()));
  EXPECT_TRUE(fs::exists(ended.back()));
  bool kept = false;
  for (const fs::path& recording : ended) {
    EXPECT_TRUE(!kept || fs::exists(recording)) << recording << " went before an older one";
    kept = kept || fs::exists(recording);
  }
}

TEST_F(OutputKeeperTest, WhatRunsIsThinnedWhenNothingEndedIsLeft) {
  const int64_t now_ms = NowMs();
  running_ = Plant(getpid(), 1, snapshot::End::kRunning, now_ms);
  const auto first = snapshot::ReadSnapshot(running_ / "snapshot-000001.lhs");
  ASSERT_TRUE(first);
  for (int number = 2; number <= 40; ++number) {
    snapshot::Snapshot next = *first;
    next.number = static_cast<uint32_t>(number);
    next.time_ms += number * 1000;
    char name[32];
    std::snprintf(name, sizeof(name), "snapshot-%06d.lhs", number);
    ASSERT_TRUE(snapshot::WriteSnapshot(next, running_ / name));
  }
  OutputKeeper keeper = Keeper(100'000);
  keeper.Wrote(running_, 0, 1);
  EXPECT_LT(Files(running_), 30u);
  EXPECT_TRUE(fs::exists(running_ / "snapshot-000040.lhs"));
}

TEST_F(OutputKeeperTest, AStrangersFloodRemovesItsOwn) {
  const int64_t now_ms = NowMs();
  const fs::path roots = Plant(kNobody, 0, snapshot::End::kExit, now_ms, "service");
  OutputKeeper keeper = Keeper(100'000);
  for (int i = 1; i <= 40; ++i) keeper.Wrote(Plant(kNobody, i, snapshot::End::kExit, now_ms), kStranger, 4096);
  EXPECT_TRUE(fs::exists(roots));  // the oldest of all
  EXPECT_LE(snapshot::FindRecordings(output_)->size(), 13u);
}

TEST(ShortRuns, TheFirstAreKeptThenThoseThatHoldMore) {
  ingest::ShortRuns runs;
  uint64_t kept = 0;
  for (int i = 0; i < 1000; ++i) kept += runs.Keep(kStranger, "cc1", 1000, 3);
  EXPECT_EQ(kept, ingest::ShortRuns::kKeptOfStranger);
  EXPECT_EQ(runs.Folded(), 1000 - kept);
  EXPECT_FALSE(runs.Keep(kStranger, "cc1", 1100, 3));
  EXPECT_TRUE(runs.Keep(kStranger, "cc1", 50'000, 3));
  EXPECT_TRUE(runs.Keep(kStranger, "cc1", 1000, 10));
  EXPECT_TRUE(runs.Keep(kStranger, "as", 10, 3));
  EXPECT_TRUE(runs.Keep(0, "cc1", 10, 3));
}

}  // namespace
}  // namespace leakhunt::record
