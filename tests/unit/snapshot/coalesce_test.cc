// Stacks that a file has twice are one to its readers.
#include <gtest/gtest.h>

#include "collector/snapshot/coalesce.h"
#include "collector/snapshot/recording.h"
#include "tests/unit/snapshot/temporary_directory.h"

namespace leakhunt::snapshot {
namespace {

// Four stacks, the last two of which repeat the second and the first.
Snapshot Repeating() {
  Snapshot s;
  s.frames = {{kNoModule, 0x10, 0}, {kNoModule, 0x20, 0}};
  s.stacks = {Stack{}, {{0}, false, 77}, {{0, 1}, false, 88}, {{0, 1}, false, 88}, {{0}, false, 77}};
  s.threads.resize(3);
  s.scopes = {"", "request"};
  return s;
}

Site Row(uint32_t stack, double bytes, uint32_t scope = 0) {
  Site site;
  site.stack = stack;
  site.scope = scope;
  site.live_bytes = {1, bytes, 0, 0, 0, 0};
  site.live_count = {1, 1, 0, 0, 0, 0};
  site.total_bytes = {2, 2 * bytes, 0, 0, 0, 0};
  site.freed_bytes = bytes;
  site.first_seen_ms = static_cast<int64_t>(bytes);
  site.last_seen_ms = static_cast<int64_t>(bytes) + 5;
  site.lifetimes[3] = 1;
  return site;
}

TEST(Coalesce, RowsOfOneStackAddUp) {
  Snapshot s = Repeating();
  s.sites = {Row(1, 100), Row(2, 10), Row(3, 30), Row(4, 50), Row(4, 7, 1)};
  s.sites[0].cohorts = {{0, 10, 1, 100, 1}};
  s.sites[3].cohorts = {{0, 10, 1, 40, 1}, {10, 20, 1, 10, 1}};
  s.sites[0].threads = {{0, 90, 1}, {1, 10, 1}};
  s.sites[3].threads = {{1, 50, 1}, {2, 95, 1}};
  s.handle_sites.resize(1);
  s.handle_sites[0].stack = 4;
  Coalesce(&s);
  ASSERT_EQ(s.stacks.size(), 3u);
  EXPECT_EQ(s.stacks[2].content_hash, 88u);
  ASSERT_EQ(s.sites.size(), 3u);
  const Site& first = s.sites[0];
  EXPECT_EQ(first.stack, 1u);
  EXPECT_EQ(first.live_bytes.value, 150);
  EXPECT_EQ(first.live_bytes.samples, 2u);
  EXPECT_EQ(first.total_bytes.value, 300);
  EXPECT_EQ(first.freed_bytes, 150);
  EXPECT_EQ(first.first_seen_ms, 50);
  EXPECT_EQ(first.last_seen_ms, 105);
  EXPECT_EQ(first.lifetimes[3], 2u);
  ASSERT_EQ(first.cohorts.size(), 2u);
  EXPECT_EQ(first.cohorts[0].live_bytes, 140);
  EXPECT_EQ(first.cohorts[1].from_ms, 10);
  ASSERT_EQ(first.threads.size(), 3u);
  EXPECT_EQ(first.threads[0].thread, 2u);
  EXPECT_EQ(first.threads[2].live_bytes, 60);
  EXPECT_EQ(s.sites[1].live_bytes.value, 40);
  EXPECT_EQ(s.sites[2].scope, 1u);
  EXPECT_EQ(s.sites[2].stack, 1u);
  EXPECT_EQ(s.handle_sites[0].stack, 1u);
}

TEST(Coalesce, ARepeatOfARepeatFindsTheFirst) {
  Snapshot s = Repeating();
  s.stacks.push_back(s.stacks[1]);
  s.stacks.push_back(s.stacks[1]);
  s.sites = {Row(6, 1), Row(5, 2), Row(4, 4), Row(1, 8), Row(0, 16)};
  Coalesce(&s);
  EXPECT_EQ(s.stacks.size(), 3u);
  ASSERT_EQ(s.sites.size(), 2u);
  EXPECT_EQ(s.sites[0].live_bytes.value, 15);
  EXPECT_EQ(s.sites[0].stack, 1u);
  EXPECT_EQ(s.sites[1].stack, 0u);
}

TEST(Coalesce, WithoutRepeatsNothingChanges) {
  Snapshot s = Repeating();
  s.stacks.resize(3);
  s.stacks.push_back({{1}, false, 0});  // of no known content: like none but itself
  s.stacks.push_back({{1, 1}, false, 0});
  s.sites = {Row(1, 1), Row(1, 2), Row(3, 4), Row(4, 8)};
  Coalesce(&s);
  EXPECT_EQ(s.stacks.size(), 5u);
  EXPECT_EQ(s.sites.size(), 4u);
}

TEST(Coalesce, AFileWithRepeatsReadsAsOne) {
  leakhunt::testing::TemporaryDirectory directory;
  Snapshot s = Repeating();
  s.sites = {Row(1, 100), Row(4, 50)};
  const auto file = directory.Path() / "snapshot-000001.lhs";
  ASSERT_TRUE(WriteSnapshot(s, file));
  const Result<Snapshot> read = ReadSnapshot(file);
  ASSERT_TRUE(read) << read.error().message;
  ASSERT_EQ(read->sites.size(), 1u);
  EXPECT_EQ(read->sites[0].live_bytes.value, 150);
  EXPECT_EQ(read->stacks.size(), 3u);
}

}  // namespace
}  // namespace leakhunt::snapshot
