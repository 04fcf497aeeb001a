#include "collector/verdict/history.h"

#include <gtest/gtest.h>

namespace leakhunt::verdict {
namespace {

using snapshot::Snapshot;

constexpr int64_t kStart = 1'700'000'000'000;

Snapshot Taken(int64_t at_s, const std::vector<std::pair<uint64_t, double>>& sites, const char* reason = "interval") {
  Snapshot s;
  s.time_ms = kStart + at_s * 1000;
  s.reason = reason;
  s.process.started_ms = kStart;
  s.sampling.exact = true;
  s.stacks.emplace_back();
  s.activity = {{kStart, 0}, {s.time_ms, static_cast<uint64_t>(at_s * 100)}};
  for (auto [hash, bytes] : sites) {
    snapshot::Stack stack;
    stack.content_hash = hash;
    s.stacks.push_back(stack);
    snapshot::Site site;
    site.stack = static_cast<uint32_t>(s.stacks.size() - 1);
    site.live_bytes.value = bytes;
    site.live_count.value = bytes / 10;
    site.cohorts = {{kStart, s.time_ms, static_cast<uint64_t>(bytes / 10), bytes, bytes / 10}};
    s.sites.push_back(site);
  }
  return s;
}

const History& Of(const HistoryBuilder::Histories& all, uint64_t hash, uint8_t kind = 0) {
  for (size_t i = 0; i < all.ids.size(); ++i) {
    if (all.ids[i] == SiteId{hash, kind}) return all.sites[i];
  }
  static const History none;
  return none;
}

TEST(HistoryBuilder, FollowsASiteThroughSnapshotsThatNumberItDifferently) {
  HistoryBuilder builder;
  builder.Add(Taken(10, {{7, 100}, {8, 50}}));
  builder.Add(Taken(20, {{8, 60}, {7, 200}}));
  auto all = builder.Build();
  const History& seven = Of(all, 7);
  ASSERT_EQ(seven.points.size(), 2u);
  EXPECT_EQ(seven.points[0].live, 100);
  EXPECT_EQ(seven.points[1].live, 200);
  EXPECT_EQ(seven.points[1].activity, 2000);
  EXPECT_EQ(seven.cohorts.front().live_bytes, 200);
  ASSERT_EQ(seven.earlier.size(), 1u);
  EXPECT_EQ(seven.earlier[0].time_ms, kStart + 10'000);
  EXPECT_EQ(seven.earlier[0].cohorts.front().live_bytes, 100);
}

TEST(HistoryBuilder, ASiteHeldNothingBeforeItAppearedAndWhileItIsMissing) {
  HistoryBuilder builder;
  builder.Add(Taken(10, {{7, 100}}));
  builder.Add(Taken(20, {{7, 100}, {9, 30}}));
  builder.Add(Taken(30, {{7, 100}}));
  builder.Add(Taken(40, {{7, 100}, {9, 40}}));
  auto all = builder.Build();
  const History& nine = Of(all, 9);
  ASSERT_EQ(nine.points.size(), 4u);
  EXPECT_EQ(nine.points[0].live, 0);
  EXPECT_EQ(nine.points[1].live, 30);
  EXPECT_EQ(nine.points[2].live, 0);
  EXPECT_EQ(nine.points[3].live, 40);
}

TEST(HistoryBuilder, ScopesOfOneStackAreOneSite) {
  Snapshot s = Taken(10, {{7, 100}});
  snapshot::Site scoped = s.sites[0];
  scoped.scope = 1;
  s.sites.push_back(scoped);
  HistoryBuilder builder;
  builder.Add(s);
  auto all = builder.Build();
  ASSERT_EQ(all.sites.size(), 1u);
  EXPECT_EQ(all.sites[0].points[0].live, 200);
  ASSERT_EQ(all.sites[0].cohorts.size(), 1u);
  EXPECT_EQ(all.sites[0].cohorts[0].samples, 20u);
}

TEST(HistoryBuilder, ExitSnapshotOfATornDownProcessIsLeftOut) {
  HistoryBuilder builder;
  builder.Add(Taken(10, {{7, 100}}));
  builder.Add(Taken(20, {{7, 200}}));
  builder.Add(Taken(21, {{7, 10}}, "exit"));
  EXPECT_EQ(builder.snapshots(), 2u);
  HistoryBuilder kept;
  kept.Add(Taken(10, {{7, 100}}));
  kept.Add(Taken(21, {{7, 300}}, "exit"));
  EXPECT_EQ(kept.snapshots(), 2u);
}

TEST(HistoryBuilder, ASecondSnapshotOfTheSameMomentReplacesTheFirst) {
  HistoryBuilder builder;
  builder.Add(Taken(10, {{7, 100}}));
  builder.Add(Taken(10, {{7, 120}}, "request"));
  auto all = builder.Build();
  ASSERT_EQ(Of(all, 7).points.size(), 1u);
  EXPECT_EQ(Of(all, 7).points[0].live, 120);
}

TEST(HistoryBuilder, EarlierCohortsStayFewAndEvenlySpaced) {
  HistoryBuilder builder;
  for (int i = 1; i <= 1000; ++i) builder.Add(Taken(i * 10, {{7, 100.0 * i}}));
  auto all = builder.Build();
  const History& seven = Of(all, 7);
  EXPECT_EQ(seven.points.size(), 1000u);
  ASSERT_GE(seven.earlier.size(), 12u);
  EXPECT_LE(seven.earlier.size(), 26u);
  int64_t step = seven.earlier[1].time_ms - seven.earlier[0].time_ms;
  for (size_t i = 2; i < seven.earlier.size(); ++i) {
    EXPECT_EQ(seven.earlier[i].time_ms - seven.earlier[i - 1].time_ms, step);
  }
}

TEST(HistoryBuilder, HandlesAreCountedAndTheirBirthsBecomeCohorts) {
  Snapshot s = Taken(100, {{7, 100}});
  snapshot::HandleSite handles;
  handles.type = snapshot::HandleType::kTcp;
  handles.stack = 1;
  handles.open = 6;
  handles.opened = 20;
  handles.closed = 14;
  handles.births_ms = {kStart + 1000, kStart + 50'000, kStart + 99'000};  // thinned: each stands for two
  s.handle_sites.push_back(handles);
  HistoryBuilder builder;
  builder.Add(s);
  auto all = builder.Build();
  const History& tcp = Of(all, 7, kHandleSite + static_cast<uint8_t>(snapshot::HandleType::kTcp));
  ASSERT_EQ(tcp.points.size(), 1u);
  EXPECT_TRUE(tcp.handles);
  EXPECT_EQ(tcp.points[0].live, 6);
  EXPECT_EQ(tcp.points[0].freed_samples, 14);
  ASSERT_EQ(tcp.cohorts.size(), 3u);
  for (const auto& cohort : tcp.cohorts) EXPECT_EQ(cohort.samples, 2u);
}

TEST(HistoryBuilder, ALeakInSnapshotsIsJudgedOne) {
  HistoryBuilder builder;
  for (int i = 1; i <= 40; ++i) {
    Snapshot s = Taken(i * 10, {{7, 1000.0 * i}, {8, 5000}});
    s.sites[0].cohorts.clear();
    for (int k = 0; k < i; ++k) s.sites[0].cohorts.push_back({kStart + k * 10'000, kStart + (k + 1) * 10'000, 10, 1000, 10});
    s.sites[1].cohorts = {{kStart, kStart + 10'000, 50, 5000, 50}};
    builder.Add(s);
  }
  auto all = builder.Build();
  auto verdicts = Judge(all.sites);
  for (size_t i = 0; i < all.ids.size(); ++i) {
    Verdict expected = all.ids[i].content_hash == 7 ? Verdict::kLeaking : Verdict::kStartup;
    EXPECT_EQ(verdicts[i].verdict, expected) << VerdictName(verdicts[i].verdict);
  }
}

}  // namespace
}  // namespace leakhunt::verdict
