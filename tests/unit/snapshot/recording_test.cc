#include "collector/snapshot/recording.h"

#include <gtest/gtest.h>

#include <fstream>

#include "collector/snapshot/retention.h"
#include "tests/unit/snapshot/sample.h"
#include "tests/unit/snapshot/temporary_directory.h"

namespace leakhunt::snapshot {
namespace {

namespace fs = std::filesystem;
using leakhunt::testing::SampleSnapshot;
using leakhunt::testing::TemporaryDirectory;

void Touch(const fs::path& file) {
  fs::create_directories(file.parent_path());
  std::ofstream(file) << "x";
}

TEST(FindRecordings, AFileIsARecordingOfOne) {
  TemporaryDirectory d;
  Touch(d.Path() / "a" / "snapshot-000003.lhs");
  auto found = FindRecordings(d.Path() / "a" / "snapshot-000003.lhs");
  ASSERT_TRUE(found);
  ASSERT_EQ(found->size(), 1u);
  EXPECT_EQ(found->front().directory, d.Path() / "a");
  EXPECT_EQ(found->front().files.size(), 1u);
}

TEST(FindRecordings, OrdersByNumberAndIgnoresOtherNames) {
  TemporaryDirectory d;
  for (const char* name : {"snapshot-10.lhs", "snapshot-000009.lhs", "snapshot-1000000.lhs", "snapshot-000002.lhs.tmp",
                           "notes.txt", "snapshot-x.lhs", "snapshot-.lhs"}) {
    Touch(d.Path() / name);
  }
  auto found = FindRecordings(d.Path());
  ASSERT_TRUE(found);
  ASSERT_EQ(found->size(), 1u);
  ASSERT_EQ(found->front().files.size(), 3u);
  EXPECT_EQ(found->front().files[0].filename(), "snapshot-000009.lhs");
  EXPECT_EQ(found->front().files[1].filename(), "snapshot-10.lhs");
  EXPECT_EQ(found->front().files[2].filename(), "snapshot-1000000.lhs");
}

TEST(FindRecordings, ADirectoryOfRecordingsGivesEachThatHasSnapshots) {
  TemporaryDirectory d;
  Touch(d.Path() / "b-2-2" / "snapshot-000001.lhs");
  Touch(d.Path() / "a-1-1" / "snapshot-000001.lhs");
  fs::create_directories(d.Path() / "empty-3-3");
  auto found = FindRecordings(d.Path());
  ASSERT_TRUE(found);
  ASSERT_EQ(found->size(), 2u);
  EXPECT_EQ(found->at(0).directory.filename(), "a-1-1");
}

TEST(FindRecordings, NothingThereIsOneLine) {
  TemporaryDirectory d;
  auto empty = FindRecordings(d.Path());
  ASSERT_FALSE(empty);
  EXPECT_EQ(empty.error().message, "no recordings in " + d.Path().string());
  auto missing = FindRecordings(d.Path() / "none");
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().message, "cannot read " + (d.Path() / "none").string() + ": No such file or directory");
}

// One snapshot of 10 bytes a minute over three days.
std::vector<StoredSnapshot> EveryMinute(int minutes) {
  std::vector<StoredSnapshot> stored;
  for (int i = 0; i < minutes; ++i) stored.push_back({"", 1'700'000'000'000 + int64_t{i} * 60'000, 10});
  return stored;
}

TEST(Retention, UnderTheCeilingNothingGoes) {
  EXPECT_TRUE(ChooseRemovals(EveryMinute(100), 1000).empty());
}

TEST(Retention, FirstAndLastStayWhateverTheCeiling) {
  auto removed = ChooseRemovals(EveryMinute(100), 0);
  EXPECT_EQ(removed.size(), 98u);
  for (size_t i : removed) {
    EXPECT_NE(i, 0u);
    EXPECT_NE(i, 99u);
  }
}

TEST(Retention, TheLastHourStaysWhileOlderOnesAreThinnedToTheHour) {
  auto stored = EveryMinute(24 * 60);
  std::vector<bool> kept(stored.size(), true);
  for (size_t i : ChooseRemovals(stored, 90 * 10)) kept[i] = false;
  EXPECT_LE(std::count(kept.begin(), kept.end(), true), 90);
  for (size_t i = stored.size() - 60; i < stored.size(); ++i) EXPECT_TRUE(kept[i]) << i;
  for (size_t hour = 0; hour < 22; ++hour) {
    auto from = kept.begin() + static_cast<std::ptrdiff_t>(hour * 60);
    EXPECT_GE(std::count(from, from + 120, true), 1) << "hour " << hour;
  }
}

// Of two in one hour of the clock the later goes by schedule when both are more than an hour older than the newest. At
// sixty minutes to the millisecond it does not: then the most crowded goes, which is one of the two a second apart.
TEST(Retention, AnHourIsAnHour) {
  constexpr int64_t kNewest = 1'700'006'400'000 + 1'800'000;  // at half past
  constexpr int64_t kHour = 3'600'000;
  const auto gone = [](int64_t age_ms) {
    std::vector<StoredSnapshot> stored;
    for (int64_t age : {25 * kHour, kHour * 7 / 6, age_ms, kHour / 12, kHour / 12 - 1000, int64_t{0}}) {
      stored.push_back({"", kNewest - age, 10});
    }
    return ChooseRemovals(stored, 50);  // one has to go
  };
  EXPECT_EQ(gone(kHour + 1), std::vector<size_t>{2});
  EXPECT_EQ(gone(kHour), std::vector<size_t>{4});
}

TEST(Retention, DaysAgoOneADayStays) {
  auto stored = EveryMinute(10 * 24 * 60);
  std::vector<bool> kept(stored.size(), true);
  for (size_t i : ChooseRemovals(stored, 100 * 10)) kept[i] = false;
  EXPECT_LE(std::count(kept.begin(), kept.end(), true), 100);
  for (size_t day = 0; day < 8; ++day) {
    auto from = kept.begin() + static_cast<std::ptrdiff_t>(day * 1440);
    auto count = std::count(from, from + 1440, true);
    EXPECT_GE(count, 1) << "day " << day;
    EXPECT_LE(count, 3) << "day " << day;
  }
}

TEST(Retention, AsLittleAsNeededGoes) {
  EXPECT_EQ(ChooseRemovals(EveryMinute(1000), 990 * 10).size(), 10u);
}

TEST(Retention, ThinRemovesFilesAndLeavesOthersAlone) {
  TemporaryDirectory d;
  uint64_t size = 0;
  for (uint32_t i = 1; i <= 9; ++i) {
    fs::path file = d.Path() / ("snapshot-00000" + std::to_string(i) + ".lhs");
    ASSERT_TRUE(WriteSnapshot(SampleSnapshot(i), file));
    size = std::max<uint64_t>(size, fs::file_size(file));
  }
  Touch(d.Path() / "perf-1.map");
  ASSERT_TRUE(Thin(d.Path(), 5 * size));
  auto found = FindRecordings(d.Path());
  ASSERT_TRUE(found);
  EXPECT_LE(found->front().files.size(), 5u);
  EXPECT_GE(found->front().files.size(), 4u);
  EXPECT_EQ(found->front().files.front().filename(), "snapshot-000001.lhs");
  EXPECT_EQ(found->front().files.back().filename(), "snapshot-000009.lhs");
  EXPECT_TRUE(fs::exists(d.Path() / "perf-1.map"));
}

TEST(Retention, ThinOfAnEmptyDirectoryIsNothing) {
  TemporaryDirectory d;
  EXPECT_TRUE(Thin(d.Path(), 0));
}

}  // namespace
}  // namespace leakhunt::snapshot
