#include "collector/verdict/process.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>

#include "tests/bench/verdicts/recorder.h"

namespace leakhunt::verdict {
namespace {

using snapshot::VitalsPoint;

constexpr double kMiB = 1 << 20;

// An hour, a point a minute; `shape` fills the parts, RSS is their sum.
std::vector<VitalsPoint> Hour(const std::function<void(VitalsPoint&, double minute)>& shape) {
  std::vector<VitalsPoint> vitals;
  corpus::Random random(5);
  for (int minute = 0; minute <= 60; ++minute) {
    VitalsPoint v;
    v.time_ms = corpus::ToMs(minute * 60.0);
    v.heap_live_bytes = static_cast<uint64_t>((50 + 0.3 * random.Normal()) * kMiB);
    v.allocator_slack_bytes = static_cast<uint64_t>((8 + 0.2 * random.Normal()) * kMiB);
    v.file_bytes = static_cast<uint64_t>(6 * kMiB);
    v.stack_bytes = 200'000;
    v.open_handles = 40;
    v.threads = 8;
    shape(v, minute);
    v.rss_bytes = v.heap_live_bytes + v.allocator_slack_bytes + v.mmap_bytes + v.stack_bytes + v.file_bytes;
    v.virtual_bytes = v.rss_bytes * 3;
    vitals.push_back(v);
  }
  return vitals;
}

JudgedSite Leaking(double per_s, bool handles = false) {
  JudgedSite site;
  site.handles = handles;
  site.verdict.verdict = Verdict::kLeaking;
  site.verdict.confidence = 0.9;
  site.verdict.rate_per_s = {per_s, per_s * 0.8, per_s * 1.2};
  return site;
}

TEST(JudgeProcess, SteadyProcessSaysAtMost) {
  ProcessVerdict verdict = JudgeProcess(Hour([](VitalsPoint&, double) {}), {}, {});
  EXPECT_EQ(verdict.verdict, Verdict::kBounded);
  EXPECT_EQ(verdict.growth, GrowthClass::kNone);
  EXPECT_FALSE(verdict.limit);
  EXPECT_NE(verdict.text.find("stable, at most"), std::string::npos) << verdict.text;
  EXPECT_NE(verdict.text.find("95 % confidence"), std::string::npos) << verdict.text;
}

TEST(JudgeProcess, PartsAddUpToRss) {
  auto vitals = Hour([](VitalsPoint& v, double) { v.mmap_bytes = static_cast<uint64_t>(3 * kMiB); });
  double sum = 0;
  for (const MemoryPart& part : JudgeProcess(vitals, {}, {}).parts) {
    if (std::string(part.name) != "page tables") sum += part.bytes;
  }
  EXPECT_NEAR(sum, static_cast<double>(vitals.back().rss_bytes), 1);
}

// Between two readings of smaps only RSS is known; leakhunt's own growth is nobody's leak.
TEST(JudgeProcess, PointsWithoutPartsAreNoZeros) {
  std::vector<VitalsPoint> vitals = Hour([](VitalsPoint& v, double m) {
    v.pss_bytes = 1;
    v.leakhunt_bytes = static_cast<uint64_t>(m * kMiB);
  });
  for (size_t i = 0; i < vitals.size(); ++i) {
    vitals[i].rss_bytes += vitals[i].leakhunt_bytes;
    if (i % 5 == 0) continue;
    VitalsPoint bare;
    bare.time_ms = vitals[i].time_ms;
    bare.rss_bytes = vitals[i].rss_bytes;
    vitals[i] = bare;
  }
  vitals.pop_back();
  ProcessVerdict verdict = JudgeProcess(vitals, {}, {});
  ASSERT_FALSE(verdict.parts.empty());
  EXPECT_NEAR(verdict.parts[0].bytes, 50 * kMiB, 2 * kMiB);
  EXPECT_LT(std::abs(verdict.parts[0].rate_per_s.value), 0.01 * kMiB / 60);
  EXPECT_LT(verdict.rate_per_s.value, 0.1 * kMiB / 60);
  for (VitalsPoint& v : vitals) v.pss_bytes = v.heap_live_bytes = v.allocator_slack_bytes = 0;
  EXPECT_TRUE(JudgeProcess(vitals, {}, {}).parts.empty());
}

TEST(JudgeProcess, LeakingHeapMeetsTheCgroupLimitFirst) {
  auto vitals = Hour([](VitalsPoint& v, double m) {
    v.heap_live_bytes = static_cast<uint64_t>((50 + m) * kMiB);
    v.cgroup_bytes = static_cast<uint64_t>((70 + m) * kMiB);
  });
  struct snapshot::Limits limits;
  limits.cgroup_bytes = static_cast<uint64_t>(150 * kMiB);
  limits.machine_bytes = static_cast<uint64_t>(16'000 * kMiB);
  limits.machine_available_bytes = static_cast<uint64_t>(8000 * kMiB);
  ProcessVerdict verdict = JudgeProcess(vitals, limits, {Leaking(kMiB / 60)});
  EXPECT_EQ(verdict.verdict, Verdict::kLeaking);
  EXPECT_EQ(verdict.growth, GrowthClass::kHeap);
  ASSERT_TRUE(verdict.limit);
  EXPECT_EQ(verdict.limit->kind, "cgroup");
  EXPECT_NEAR(verdict.limit->seconds, 20 * 60, 90);  // 130 of 150 MiB used, 1 MiB a minute
  ASSERT_TRUE(verdict.limit->high_s);
  EXPECT_LT(verdict.limit->low_s, verdict.limit->seconds);
  EXPECT_GT(*verdict.limit->high_s, verdict.limit->seconds);
}

TEST(JudgeProcess, SlackThatGrowsIsFragmentation) {
  auto vitals = Hour([](VitalsPoint& v, double m) { v.allocator_slack_bytes = static_cast<uint64_t>((8 + m / 2) * kMiB); });
  ProcessVerdict verdict = JudgeProcess(vitals, {}, {});
  EXPECT_EQ(verdict.verdict, Verdict::kGrowingUnproven);
  EXPECT_EQ(verdict.growth, GrowthClass::kFragmentation);
  EXPECT_NE(verdict.text.find("fragmentation"), std::string::npos);
}

TEST(JudgeProcess, FilesThatGrowAreFileCache) {
  auto vitals = Hour([](VitalsPoint& v, double m) { v.file_bytes = static_cast<uint64_t>((6 + m) * kMiB); });
  EXPECT_EQ(JudgeProcess(vitals, {}, {}).growth, GrowthClass::kFileCache);
}

TEST(JudgeProcess, MappingsWithThreadsAreThreads) {
  auto mapped = [](VitalsPoint& v, double m) { v.mmap_bytes = static_cast<uint64_t>((1 + m) * kMiB); };
  EXPECT_EQ(JudgeProcess(Hour(mapped), {}, {}).growth, GrowthClass::kMapping);
  auto threads = [&](VitalsPoint& v, double m) {
    mapped(v, m);
    v.threads = 8 + static_cast<uint64_t>(m);
  };
  EXPECT_EQ(JudgeProcess(Hour(threads), {}, {}).growth, GrowthClass::kThread);
}

TEST(JudgeProcess, HandlesMeetTheirOwnLimit) {
  auto vitals = Hour([](VitalsPoint& v, double m) { v.open_handles = 40 + static_cast<uint64_t>(m * 6); });
  struct snapshot::Limits limits;
  limits.open_handles = 1024;
  ProcessVerdict verdict = JudgeProcess(vitals, limits, {Leaking(0.1, true)});
  EXPECT_EQ(verdict.growth, GrowthClass::kHandle);
  ASSERT_TRUE(verdict.limit);
  EXPECT_EQ(verdict.limit->kind, "RLIMIT_NOFILE");
  EXPECT_NEAR(verdict.limit->seconds, (1024 - 400) / 0.1, 300);
}

TEST(JudgeProcess, MemoryAndHandlesAreSaidApart) {
  auto vitals = Hour([](VitalsPoint& v, double m) {
    v.heap_live_bytes = static_cast<uint64_t>((10 + m) * kMiB);
    v.open_handles = 40 + static_cast<uint64_t>(m * 6);
  });
  struct snapshot::Limits limits;
  limits.open_handles = 1024;
  ProcessVerdict verdict = JudgeProcess(vitals, limits, {Leaking(kMiB / 60), Leaking(0.1, true)});
  ASSERT_TRUE(verdict.limit);
  EXPECT_EQ(verdict.limit->kind, "RLIMIT_NOFILE");
  EXPECT_EQ(verdict.text.find("leaking 1.0 MiB/min at 1 site; leaking 6.0 handles/min at 1 site, "), 0u) << verdict.text;
  EXPECT_NE(verdict.text.find("to the RLIMIT_NOFILE limit"), std::string::npos) << verdict.text;
  limits.cgroup_bytes = static_cast<uint64_t>(200 * kMiB);
  verdict = JudgeProcess(vitals, limits, {Leaking(kMiB / 60), Leaking(0.1, true)});
  const size_t memory = verdict.text.find("to the cgroup limit"), handles = verdict.text.find("leaking 6.0 handles/min");
  EXPECT_LT(memory, handles) << verdict.text;
  verdict = JudgeProcess(vitals, limits, {Leaking(kMiB / 60)});
  EXPECT_EQ(verdict.text.find("RLIMIT_NOFILE"), std::string::npos) << verdict.text;
}

TEST(JudgeProcess, AddressSpaceMeetsItsOwnLimitAlone) {
  auto vitals = Hour([](VitalsPoint&, double) {});
  for (size_t i = 0; i < vitals.size(); ++i) vitals[i].virtual_bytes = static_cast<uint64_t>((1000 + 64.0 * static_cast<double>(i)) * kMiB);
  struct snapshot::Limits limits;
  limits.machine_bytes = static_cast<uint64_t>(1000 * kMiB);
  limits.machine_available_bytes = static_cast<uint64_t>(500 * kMiB);
  ProcessVerdict verdict = JudgeProcess(vitals, limits, {});
  EXPECT_EQ(verdict.verdict, Verdict::kBounded);
  EXPECT_FALSE(verdict.limit) << "no memory is taken";
  limits.address_space_bytes = static_cast<uint64_t>(8000 * kMiB);
  verdict = JudgeProcess(vitals, limits, {});
  ASSERT_TRUE(verdict.limit);
  EXPECT_EQ(verdict.limit->kind, "RLIMIT_AS");
  EXPECT_NEAR(verdict.limit->seconds, (8000 - 4840) / 64.0 * 60, 60);
}

TEST(JudgeProcess, ThreadsMeetTheLimitOfThreads) {
  auto vitals = Hour([](VitalsPoint& v, double m) {
    v.threads = 8 + static_cast<uint64_t>(m);
    v.cgroup_tasks = 30 + static_cast<uint64_t>(m);
  });
  struct snapshot::Limits limits;
  limits.cgroup_tasks = 150;
  JudgedSite site = Leaking(100);
  site.kind = snapshot::SiteKind::kThread;
  const ProcessVerdict verdict = JudgeProcess(vitals, limits, {site});
  EXPECT_EQ(verdict.growth, GrowthClass::kThread);
  ASSERT_TRUE(verdict.limit);
  EXPECT_EQ(verdict.limit->kind, "pids.max");
  EXPECT_NEAR(verdict.limit->seconds, 60 * 60, 200);
  ASSERT_EQ(verdict.causes.size(), 1u);
  ASSERT_TRUE(verdict.causes[0].limit);
  EXPECT_EQ(verdict.causes[0].limit->kind, "pids.max");
}

TEST(JudgeProcess, ASmallLeakBesideFragmentationHasItsOwnLimit) {
  auto vitals = Hour([](VitalsPoint& v, double m) { v.allocator_slack_bytes = static_cast<uint64_t>((8 + 10 * m) * kMiB); });
  struct snapshot::Limits limits;
  limits.machine_bytes = static_cast<uint64_t>(2000 * kMiB);
  limits.machine_available_bytes = static_cast<uint64_t>(600 * kMiB);
  const ProcessVerdict verdict = JudgeProcess(vitals, limits, {Leaking(1000)});
  EXPECT_EQ(verdict.verdict, Verdict::kLeaking);
  EXPECT_EQ(verdict.growth, GrowthClass::kFragmentation);
  ASSERT_EQ(verdict.causes.size(), 2u);
  EXPECT_EQ(verdict.causes[0].growth, GrowthClass::kFragmentation);
  EXPECT_EQ(verdict.causes[1].growth, GrowthClass::kHeap);
  ASSERT_TRUE(verdict.causes[0].limit && verdict.causes[1].limit && verdict.limit);
  EXPECT_NEAR(verdict.causes[0].limit->seconds, 3600, 300);
  EXPECT_NEAR(verdict.causes[1].limit->seconds, 600 * kMiB / 1000, 1000);
  EXPECT_NEAR(verdict.limit->seconds, 3600, 300) << "of the process: what is met first";
}

TEST(JudgeProcess, MemoryThatWasNotSeenIsNoFragmentation) {
  auto unseen = Hour([](VitalsPoint& v, double m) { v.unseen_bytes = static_cast<uint64_t>((8 + m) * kMiB); });
  auto shared = Hour([](VitalsPoint& v, double m) { v.shared_bytes = static_cast<uint64_t>((8 + m) * kMiB); });
  for (VitalsPoint& v : unseen) v.rss_bytes += v.unseen_bytes;
  for (VitalsPoint& v : shared) v.rss_bytes += v.shared_bytes;
  EXPECT_EQ(JudgeProcess(unseen, {}, {}).growth, GrowthClass::kHeapNotSeen);
  EXPECT_EQ(JudgeProcess(shared, {}, {}).growth, GrowthClass::kSharedMemory);
}

TEST(JudgeProcess, FilesThatGrowBringNoLimitNearer) {
  auto vitals = Hour([](VitalsPoint& v, double m) { v.file_bytes = static_cast<uint64_t>((6 + m) * kMiB); });
  struct snapshot::Limits limits;
  limits.machine_bytes = static_cast<uint64_t>(2000 * kMiB);
  limits.machine_available_bytes = static_cast<uint64_t>(600 * kMiB);
  EXPECT_FALSE(JudgeProcess(vitals, limits, {}).limit);
}

TEST(JudgeProcess, NothingWatchedIsInconclusive) {
  ProcessVerdict verdict = JudgeProcess({}, {}, {});
  EXPECT_EQ(verdict.verdict, Verdict::kInconclusive);
  EXPECT_NE(verdict.text, "");
}

TEST(JudgeProcess, AnIdleLeakSaysHowFastItGrewAndNamesNoLimit) {
  SiteVerdict site;
  site.verdict = Verdict::kLeaking;
  site.active_until_ms = 46 * 60'000 + 32'000;
  site.rate_while_active = {26.0 * (1 << 20) / 60, 0, 0};
  struct snapshot::Limits limits;
  limits.cgroup_bytes = 1 << 30;
  std::vector<snapshot::VitalsPoint> vitals(20);
  for (size_t i = 0; i < vitals.size(); ++i) {
    vitals[i].time_ms = static_cast<int64_t>(i) * 1000;
    vitals[i].rss_bytes = (100 + i) << 20;
  }
  SiteVerdict sockets = site;
  sockets.rate_while_active = {10, 9, 11};
  ProcessVerdict verdict =
      JudgeProcess(vitals, limits, {{false, snapshot::SiteKind::kHeap, site}, {true, snapshot::SiteKind::kHeap, sockets}});
  EXPECT_EQ(verdict.growth, GrowthClass::kHeap);
  EXPECT_EQ(verdict.text, "grew 26.0 MiB/min at 1 site and 600 handles/min at 1 site until 00:46:32 UTC, idle since; what leaked is still held");
  EXPECT_FALSE(verdict.limit);
  site.active_until_ms = 0;
  site.rate_per_s = site.rate_while_active;
  EXPECT_TRUE(JudgeProcess(vitals, limits, {{false, snapshot::SiteKind::kHeap, site}}).limit);
}

}  // namespace
}  // namespace leakhunt::verdict
