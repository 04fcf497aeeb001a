// From pages to rows: exact sums, totals, cohorts, threads, scopes, kinds, inheritance, sampling.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "collector/ledger/ledger.h"
#include "collector/ledger/page_directory.h"
#include "collector/ledger/page_file.h"
#include "collector/ledger/stack_parts.h"
#include "collector/ledger/tally_sums.h"
#include "collector/snapshot/coalesce.h"
#include "page_builder.h"
#include "whole_capture.h"

namespace leakhunt::ledger {
namespace {

using protocol::BlockKind;
using snapshot::Site;
using snapshot::SiteKind;
using snapshot::Snapshot;
using testing::kStartedMs;
using testing::PageBuilder;

constexpr int64_t kNowMs = kStartedMs + 60'000;

Snapshot CaptureDead(UniqueFd fd, int64_t now_ms = kNowMs, const ThreadList* threads = nullptr) {
  Result<std::unique_ptr<ProcessLedger>> ledger = ProcessLedger::Open(std::move(fd));
  EXPECT_TRUE(ledger) << ledger.error().message;
  Snapshot out;
  CaptureOptions options;
  options.process_alive = false;
  options.now_ms = now_ms;
  options.threads = threads;
  const Result<Unit> done = testing::CaptureWhole(**ledger, options, &out);
  EXPECT_TRUE(done);
  return out;
}

const Site& OnlySite(const Snapshot& snapshot) {
  EXPECT_EQ(snapshot.sites.size(), 1u);
  return snapshot.sites.front();
}

TEST(LedgerSites, LiveBlocksAddUpExactlyAndDeadOnesDoNotCount) {
  PageBuilder pages;
  pages.AddModule(0x1000, 0x2000, 0x1000, "\x01\x02", "/bin/a");
  const uint32_t stack = pages.AddStack({0x1100, 0x1200});
  pages.AddRecord({.size = 100, .stack = stack, .tick = 10});
  pages.AddRecord({.size = 50, .stack = stack, .tick = 500});
  pages.AddRecord({.size = 7, .stack = stack, .state = protocol::SlotState::kResizing});
  pages.AddRecord({.size = 1000, .stack = stack, .state = protocol::SlotState::kDead});
  pages.AddRecord({.size = 1000, .stack = stack, .state = protocol::SlotState::kFilling});
  pages.AddRecord({.size = 1000, .stack = stack, .state = protocol::SlotState::kThinned});
  pages.AddRecord({.size = 0, .stack = stack, .tick = 30});
  const Snapshot out = CaptureDead(pages.Seal());
  const Site& site = OnlySite(out);
  EXPECT_EQ(site.live_bytes.value, 157);
  EXPECT_EQ(site.live_count.value, 4);
  EXPECT_EQ(site.live_bytes.samples, 4u);
  EXPECT_EQ(site.live_bytes.variance, 0);
  EXPECT_EQ(site.live_bytes.largest_weight, 0);
  EXPECT_EQ(site.live_bytes.moved_up, 0);
  EXPECT_EQ(site.oldest_birth_ms, kStartedMs);
  EXPECT_EQ(site.last_seen_ms, kStartedMs + 5'000);
  EXPECT_TRUE(out.sampling.exact);
  EXPECT_EQ(out.losses.invalid_records, 0u);
}

TEST(LedgerSites, TotalsComeFromEveryThreadsTally) {
  PageBuilder pages;
  const uint32_t stack = pages.AddStack({0x1100});
  pages.AddRecord({.size = 40, .stack = stack});
  pages.AddTally({.stack = stack,
                  .samples = 10,
                  .born_bytes = 400,
                  .born_count = 10,
                  .died_samples = 9,
                  .died_bytes = 360,
                  .lifetimes = {4, 3, 2}});
  pages.AddTally({.stack = stack,
                  .samples = 5,
                  .born_bytes = 200,
                  .born_count = 5,
                  .died_samples = 5,
                  .died_bytes = 200,
                  .lifetimes = {0, 5}},
                 protocol::AreaKind::kSharedTally);
  const Snapshot out = CaptureDead(pages.Seal());
  const Site& site = OnlySite(out);
  EXPECT_EQ(site.total_bytes.value, 600);
  EXPECT_EQ(site.total_count.value, 15);
  EXPECT_EQ(site.freed_samples, 14u);
  EXPECT_EQ(site.freed_bytes, 560);
  EXPECT_EQ(site.lifetimes[0], 4u);
  EXPECT_EQ(site.lifetimes[1], 8u);
  EXPECT_EQ(site.live_bytes.value, site.total_bytes.value - site.freed_bytes);
}

TEST(LedgerSites, AStackWhoseBlocksAreAllFreedStillHasARow) {
  PageBuilder pages;
  const uint32_t stack = pages.AddStack({0x1100});
  pages.AddTally(
      {.stack = stack, .samples = 3, .born_bytes = 30, .born_count = 3, .died_samples = 3, .died_bytes = 30});
  const Snapshot out = CaptureDead(pages.Seal());
  const Site& site = OnlySite(out);
  EXPECT_EQ(site.live_bytes.value, 0);
  EXPECT_EQ(site.total_bytes.value, 30);
  EXPECT_EQ(site.oldest_birth_ms, 0);
}

TEST(LedgerSites, ASiteThatIsDeadIsDatedByItsStackAndItsTally) {
  PageBuilder pages;
  const uint32_t stack = pages.AddStack({0x1100}, 0, 0, 0, 700);
  pages.AddTally({.stack = stack, .samples = 2, .born_bytes = 20, .born_count = 2, .birth_tick = 1023},
                 protocol::AreaKind::kSharedTally);
  pages.AddTally({.stack = stack, .samples = 1, .born_bytes = 10, .born_count = 1, .birth_tick = 800});
  const Snapshot out = CaptureDead(pages.Seal(), kStartedMs + 100'000);
  EXPECT_EQ(OnlySite(out).first_seen_ms, kStartedMs + 7'000);
  EXPECT_EQ(OnlySite(out).last_seen_ms, kStartedMs + 10'240);  // born at 10,230 and known to 2.56 s
  const Snapshot early = CaptureDead(pages.Seal(), kStartedMs + 9'000);
  EXPECT_EQ(OnlySite(early).last_seen_ms, kStartedMs + 9'000);
}

TEST(LedgerSites, WhatLivesDatesItsSiteUnlessOthersCameLater) {
  PageBuilder pages;
  const uint32_t stack = pages.AddStack({0x1100}, 0, 0, 0, 5);
  pages.AddRecord({.size = 1, .stack = stack, .tick = 300});
  pages.AddRecord({.size = 1, .stack = stack, .tick = 310});
  const uint64_t tally = pages.AddTally({.stack = stack, .samples = 3, .born_bytes = 3, .born_count = 3, .birth_tick = 310});
  const Snapshot same = CaptureDead(pages.Seal(), kStartedMs + 100'000);
  EXPECT_EQ(OnlySite(same).first_seen_ms, kStartedMs + 50);
  EXPECT_EQ(OnlySite(same).oldest_birth_ms, kStartedMs + 3'000);
  EXPECT_EQ(OnlySite(same).last_seen_ms, kStartedMs + 3'100);
  pages.Put(tally + offsetof(protocol::StackTally, kind_birth), protocol::PackKindBirth(BlockKind::kHeap, 512));
  const Snapshot later = CaptureDead(pages.Seal(), kStartedMs + 100'000);
  EXPECT_EQ(OnlySite(later).last_seen_ms, kStartedMs + 7'680);
}

// Very many stacks are read range by range: each must come once, with all that is its own.
TEST(LedgerSites, ManyStacksAreAllThereOnce) {
  constexpr uint32_t kStacks = 30'000;
  PageBuilder pages;
  pages.AddModule(0x10'0000, 0x900'0000, 0x10'0000, "\x01", "/bin/a");
  std::vector<uint32_t> stacks;
  for (uint32_t i = 0; i < kStacks; ++i) {
    stacks.push_back(pages.AddStack({0x10'0010 + i * 16, 0x90'0000}));
    pages.AddTally({.stack = stacks[i], .samples = 2, .born_bytes = 2 * i + 2, .born_count = 2, .died_samples = 1},
                   i % 3 == 0 ? protocol::AreaKind::kThreadTally : protocol::AreaKind::kSharedTally);
  }
  for (uint32_t i = kStacks; i-- > 0;) pages.AddRecord({.size = i + 1, .stack = stacks[i], .thread = i % 7 + 1});
  pages.AddRecord({.size = 5, .stack = 0});
  const Snapshot out = CaptureDead(pages.Seal());
  ASSERT_EQ(out.stacks.size(), kStacks + 1);
  ASSERT_EQ(out.sites.size(), kStacks + 1);
  EXPECT_EQ(out.losses.invalid_records, 0u);
  std::vector<int> seen(kStacks);
  for (const Site& site : out.sites) {
    if (site.stack == 0) {
      EXPECT_EQ(site.live_bytes.value, 5);
      continue;
    }
    ASSERT_EQ(out.stacks[site.stack].frames.size(), 2u);
    const uint64_t i = out.frames[out.stacks[site.stack].frames[0]].offset / 16 - 1;
    ASSERT_LT(i, kStacks);
    ++seen[i];
    ASSERT_EQ(site.live_bytes.value, i + 1) << i;
    ASSERT_EQ(site.total_bytes.value, 2 * i + 2) << i;
    ASSERT_EQ(site.freed_samples, 1u) << i;
  }
  EXPECT_EQ(std::count(seen.begin(), seen.end(), 1), kStacks);
}

// Interned twice and so far apart that they are read apart: two stacks that a reader makes one.
TEST(LedgerSites, AStackInternedTwiceIsOneToTheReader) {
  constexpr uint32_t kStacks = 30'000;
  PageBuilder pages;
  pages.AddModule(0x10'0000, 0x900'0000, 0x10'0000, "\x01", "/bin/a");
  const uint32_t first = pages.AddStack({0x10'0010, 0x90'0000});
  for (uint32_t i = 1; i < kStacks; ++i) {
    pages.AddTally({.stack = pages.AddStack({0x10'0010 + i * 16, 0x90'0000}), .samples = 1, .born_bytes = 1, .born_count = 1});
  }
  const uint32_t second = pages.AddStack({0x10'0010, 0x90'0000});
  for (const uint32_t stack : {first, second}) {
    pages.AddRecord({.size = 100, .stack = stack});
    pages.AddTally({.stack = stack, .samples = 1, .born_bytes = 100, .born_count = 1});
  }
  Snapshot out = CaptureDead(pages.Seal());
  EXPECT_EQ(out.stacks.size(), kStacks + 2);
  snapshot::Coalesce(&out);
  EXPECT_EQ(out.stacks.size(), kStacks + 1);
  ASSERT_EQ(out.sites.size(), kStacks);
  const auto largest = std::max_element(out.sites.begin(), out.sites.end(), [](const Site& a, const Site& b) {
    return a.live_bytes.value < b.live_bytes.value;
  });
  EXPECT_EQ(largest->live_bytes.value, 200);
  EXPECT_EQ(largest->total_bytes.value, 200);
  EXPECT_EQ(out.frames[out.stacks[largest->stack].frames[0]].offset, 16u);
}

class CountedRows final : public snapshot::Rows {
 public:
  void Add(const snapshot::Stack&) override { ++stacks; }
  void Add(const Site& site) override { total_bytes += site.total_bytes.value; }

  uint64_t stacks = 0;
  double total_bytes = 0;
};

TEST(LedgerSites, StacksBeyondTheBoundAreUnknownAndStillCounted) {
  constexpr uint32_t kStacks = 300'000;
  PageBuilder pages;
  for (uint32_t i = 0; i < kStacks; ++i) {
    pages.AddTally({.stack = pages.AddStack({0x10'0000 + i * 16}), .samples = 2, .born_bytes = 3, .born_count = 2},
                   protocol::AreaKind::kSharedTally);
  }
  Result<std::unique_ptr<ProcessLedger>> ledger = ProcessLedger::Open(pages.Seal());
  ASSERT_TRUE(ledger);
  Snapshot out;
  CountedRows rows;
  ASSERT_TRUE((*ledger)->Capture({.process_alive = false, .now_ms = kNowMs}, &rows, &out));
  EXPECT_LT(rows.stacks, kStacks);
  EXPECT_EQ(rows.stacks - 1 + out.losses.unknown_stacks / 2, kStacks);  // records are counted, of which each has two
  EXPECT_EQ(rows.total_bytes, 3.0 * kStacks);
  EXPECT_EQ(out.losses.invalid_records, 0u);
}

TEST(StackParts, FollowOneAnotherAndHoldEveryReferenceAndTally) {
  constexpr uint32_t kTallies = 200'000;
  PageBuilder few, many;
  few.AddTally({.stack = few.AddStack({0x1100}), .samples = 1});
  for (uint32_t i = 0; i < kTallies; ++i) {
    many.AddTally({.stack = 1000 + (i % 100 == 0 ? kTallies - i : i), .samples = 1}, protocol::AreaKind::kSharedTally);
  }
  const auto file_of = [](PageBuilder* pages) { return *PageFile::Open(pages->Seal()); };
  const PageFile small = file_of(&few), large = file_of(&many);
  EXPECT_EQ(StackParts(small, PageDirectory::Read(small, 1)).size(), 1u);
  const std::vector<StackPart> parts = StackParts(large, PageDirectory::Read(large, large.ReadHeader()->extents));
  EXPECT_GE(parts.size(), 40u);
  EXPECT_LE(parts.size(), 80u);
  EXPECT_EQ(parts.front().range.first, 0u);
  EXPECT_TRUE(parts.back().range.IsLast());
  uint64_t samples = 0;
  for (size_t i = 0; i < parts.size(); ++i) {
    if (i > 0) EXPECT_EQ(parts[i].range.first, parts[i - 1].range.last + 1) << i;
    TallySums sums = TallySums::Read(large, parts[i].tally_pages, parts[i].range);
    EXPECT_LT(sums.size(), 5'000u) << i;
    for (const TallySum& sum : sums.TakeSums()) samples += sum.samples;
  }
  EXPECT_EQ(samples, kTallies);
}

TEST(LedgerSites, WithoutATallyTotalsAreAtLeastWhatLives) {
  PageBuilder pages;
  pages.AddRecord({.size = 64, .stack = 0});
  const Snapshot out = CaptureDead(pages.Seal());
  const Site& site = OnlySite(out);
  EXPECT_EQ(site.stack, 0u);
  EXPECT_EQ(site.total_bytes.value, 64);
  EXPECT_EQ(site.total_count.value, 1);
}

TEST(LedgerSites, EqualStacksInternedTwiceAreOneRow) {
  PageBuilder pages;
  pages.AddModule(0x1000, 0x2000, 0x1000, "\xAB", "/bin/a");
  const uint32_t outer = pages.AddStack({0x1200, 0x1300});
  const uint32_t delta = pages.AddStack({0x1100}, outer);
  const uint32_t whole = pages.AddStack({0x1100, 0x1200, 0x1300});
  pages.AddRecord({.size = 10, .stack = delta});
  pages.AddRecord({.size = 20, .stack = whole});
  pages.AddTally({.stack = delta, .samples = 1, .born_bytes = 10, .born_count = 1});
  pages.AddTally({.stack = whole, .samples = 1, .born_bytes = 20, .born_count = 1});
  const Snapshot out = CaptureDead(pages.Seal());
  const Site& site = OnlySite(out);
  EXPECT_EQ(site.live_bytes.value, 30);
  EXPECT_EQ(site.total_bytes.value, 30);
  ASSERT_EQ(out.stacks[site.stack].frames.size(), 3u);
  EXPECT_EQ(out.frames[out.stacks[site.stack].frames[0]].offset, 0x100u);
  EXPECT_EQ(out.modules[out.frames[out.stacks[site.stack].frames[0]].module].build_id, "ab");
}

TEST(LedgerSites, KindsAreSeparateRowsAndSharedMemoryIsAMapping) {
  PageBuilder pages;
  const uint32_t stack = pages.AddStack({0x1100});
  pages.AddRecord({.size = 1, .stack = stack, .kind = BlockKind::kHeap});
  pages.AddRecord({.size = 20, .stack = stack, .kind = BlockKind::kMmap});
  pages.AddRecord({.size = 300, .stack = stack, .kind = BlockKind::kShm});
  pages.AddRecord({.size = 8192, .stack = stack, .kind = BlockKind::kThread});
  const Snapshot out = CaptureDead(pages.Seal());
  ASSERT_EQ(out.sites.size(), 3u);
  EXPECT_EQ(out.sites[0].kind, SiteKind::kThread);
  EXPECT_EQ(out.sites[0].live_bytes.value, 8192);
  EXPECT_EQ(out.sites[1].kind, SiteKind::kMmap);
  EXPECT_EQ(out.sites[1].live_bytes.value, 320);
  EXPECT_EQ(out.sites[2].kind, SiteKind::kHeap);
}

// A program that runs on when its collector is replaced by a newer one.
TEST(LedgerSites, PagesOfTheOldestLayoutAreRead) {
  PageBuilder pages;
  pages.header().version = protocol::kOldestLayoutVersion;
  pages.AddRecord({.size = 8 << 20, .stack = pages.AddStack({0x1100}), .kind = BlockKind::kThread});
  EXPECT_EQ(OnlySite(CaptureDead(pages.Seal())).live_bytes.value, 8 << 20);
}

// A tick is 10 ms, and tick 1 the first.
TEST(LedgerSites, ADetachedThreadCountsWhileTheKernelListsIt) {
  PageBuilder pages;
  const uint32_t stack = pages.AddStack({0x1100});
  const auto thread = [&](uint32_t tick, uint32_t detached_tid) {
    pages.AddRecord({.size = 8192, .stack = stack, .tick = tick, .kind = BlockKind::kThread, .detached_tid = detached_tid});
  };
  thread(10, 0);     // joinable
  thread(10, 500);   // listed
  thread(10, 4'194'303);  // the highest tid; listed
  thread(10, 501);   // ended
  thread(900, 502);  // born after the listing
  const UniqueFd memfd = pages.Seal();
  const auto count = [&](const ThreadList* threads) {
    return OnlySite(CaptureDead(UniqueFd(dup(memfd.Get())), kNowMs, threads)).live_count.value;
  };
  const ThreadList listed{.tids = {500, 4'194'303}, .listed_ms = kStartedMs + 5'000};
  EXPECT_EQ(count(&listed), 4);
  EXPECT_EQ(count(nullptr), 5);
}

TEST(LedgerSites, ScopesSplitLiveBlocksAndTotalsStayWithTheStack) {
  PageBuilder pages;
  const uint32_t stack = pages.AddStack({0x1100});
  pages.AddScope(7, "gun_sync");
  pages.AddRecord({.size = 100, .stack = stack, .scope = 7});
  pages.AddRecord({.size = 30, .stack = stack, .scope = 9});
  pages.AddTally({.stack = stack, .samples = 2, .born_bytes = 130, .born_count = 2});
  const Snapshot out = CaptureDead(pages.Seal());
  ASSERT_EQ(out.sites.size(), 3u);
  EXPECT_EQ(out.scopes[out.sites[0].scope], "gun_sync");
  EXPECT_EQ(out.scopes[out.sites[1].scope], "scope 9");
  EXPECT_EQ(out.sites[0].total_bytes.value, 0);
  EXPECT_EQ(out.sites[2].scope, 0u);
  EXPECT_EQ(out.sites[2].live_bytes.value, 0);
  EXPECT_EQ(out.sites[2].total_bytes.value, 130);
}

TEST(LedgerSites, CohortsAreSharedInTimeOrderAndAddUp) {
  PageBuilder pages;
  const uint32_t a = pages.AddStack({0x1100}), b = pages.AddStack({0x1200});
  for (uint32_t tick = 0; tick < 6000; tick += 10) pages.AddRecord({.size = 8, .stack = a, .tick = tick});
  pages.AddRecord({.size = 8, .stack = b, .tick = 5999});
  const Snapshot out = CaptureDead(pages.Seal());
  ASSERT_EQ(out.sites.size(), 2u);
  const std::vector<snapshot::Cohort>& cohorts = out.sites[0].cohorts;
  EXPECT_LE(cohorts.size(), 64u);
  EXPECT_GE(cohorts.size(), 32u);
  double bytes = 0;
  for (size_t i = 0; i < cohorts.size(); ++i) {
    EXPECT_LT(cohorts[i].from_ms, cohorts[i].to_ms);
    EXPECT_EQ(cohorts[i].from_ms, i == 0 ? kStartedMs : cohorts[i - 1].to_ms);
    bytes += cohorts[i].live_bytes;
  }
  EXPECT_EQ(bytes, out.sites[0].live_bytes.value);
  ASSERT_EQ(out.sites[1].cohorts.size(), 1u);
  EXPECT_EQ(out.sites[1].cohorts[0].from_ms, cohorts.back().from_ms);
}

TEST(LedgerSites, CohortEdgesOfALaterSnapshotAreAmongTheEarlierOnes) {
  PageBuilder pages;
  const uint32_t stack = pages.AddStack({0x1100});
  for (uint32_t tick = 0; tick < 900; ++tick) pages.AddRecord({.size = 8, .stack = stack, .tick = tick});
  const UniqueFd fd = pages.Seal();
  const Snapshot early = CaptureDead(UniqueFd(::dup(fd.Get())), kStartedMs + 9'000);
  const Snapshot late = CaptureDead(UniqueFd(::dup(fd.Get())), kStartedMs + 100'000);
  std::vector<int64_t> edges;
  for (const snapshot::Cohort& cohort : early.sites[0].cohorts) edges.push_back(cohort.from_ms);
  for (const snapshot::Cohort& cohort : late.sites[0].cohorts) {
    EXPECT_TRUE(std::binary_search(edges.begin(), edges.end(), cohort.from_ms)) << cohort.from_ms;
  }
  EXPECT_LT(late.sites[0].cohorts.size(), early.sites[0].cohorts.size());
}

TEST(LedgerSites, TheEightThreadsWithMostAreKept) {
  PageBuilder pages;
  const uint32_t stack = pages.AddStack({0x1100});
  for (uint32_t round = 0; round < 3; ++round) {
    for (uint32_t thread = 1; thread <= 100; ++thread) {
      pages.AddRecord({.size = thread, .stack = stack, .thread = thread});
    }
  }
  pages.AddThread(100, 5100, "worker", 5, 0);
  const Snapshot out = CaptureDead(pages.Seal());
  const std::vector<snapshot::ThreadShare>& threads = OnlySite(out).threads;
  ASSERT_EQ(threads.size(), 8u);
  EXPECT_EQ(threads[0].live_bytes, 300);
  EXPECT_EQ(threads[7].live_bytes, 279);
  EXPECT_EQ(out.threads[threads[0].thread].tid, 5100u);
  EXPECT_EQ(out.threads[threads[0].thread].name, "worker");
  EXPECT_EQ(out.threads[threads[0].thread].started_ms, kStartedMs + 50);
}

TEST(LedgerSites, WhatAChildInheritedIsARowOfItsOwn) {
  PageBuilder pages;
  const uint32_t stack = pages.AddStack({0x1100});
  protocol::InheritedTally tally{};
  tally.stack = stack;
  tally.samples = 10;
  tally.live_bytes = 640;
  tally.live_count_256 = 8 * 256;
  tally.died_samples = 2;
  tally.oldest_realtime_ms = kStartedMs - 5'000;
  pages.AddInherited(tally);
  pages.AddRecord({.size = 16, .stack = stack});
  const Snapshot out = CaptureDead(pages.Seal());
  ASSERT_EQ(out.sites.size(), 2u);
  EXPECT_TRUE(out.sites[0].inherited);
  EXPECT_EQ(out.sites[0].live_bytes.value, 640);
  EXPECT_EQ(out.sites[0].live_count.value, 8);
  EXPECT_EQ(out.sites[0].live_bytes.samples, 8u);
  EXPECT_EQ(out.sites[0].freed_samples, 2u);
  EXPECT_EQ(out.sites[0].oldest_birth_ms, kStartedMs - 5'000);
  EXPECT_EQ(out.sites[0].total_bytes.value, 0);
  EXPECT_FALSE(out.sites[1].inherited);
  EXPECT_EQ(out.sites[1].live_bytes.value, 16);
}

TEST(LedgerSites, SampledBlocksStandForTheirWeight) {
  PageBuilder pages;
  pages.header().interval_bytes = 1024;
  const uint32_t stack = pages.AddStack({0x1100});
  for (int i = 0; i < 5; ++i) pages.AddRecord({.size = 100, .stack = stack, .interval = 1024});
  pages.AddRecord({.size = 5000, .stack = stack, .interval = 1024});
  const Snapshot out = CaptureDead(pages.Seal());
  const Site& site = OnlySite(out);
  const double p = 1 - std::exp(-100.0 / 1024);
  EXPECT_NEAR(site.live_bytes.value, 5 * 100 / p + 5000, 1e-6);
  EXPECT_NEAR(site.live_count.value, 5 / p + 1, 1e-9);
  EXPECT_NEAR(site.live_bytes.variance, 5 * (1 - p) * (100 / p) * (100 / p), 1e-3);
  EXPECT_NEAR(site.live_count.variance, 5 * (1 - p) / p / p, 1e-6);
  EXPECT_NEAR(site.live_bytes.largest_weight, 100 / p, 1e-9);
  EXPECT_FALSE(out.sampling.exact);
  EXPECT_EQ(out.sampling.mean_bytes, 1024u);
}

TEST(LedgerSites, TheMemoryBoundThinsHeapBlocksAndLeavesMappingsAlone) {
  PageBuilder pages;
  pages.header().floor_interval_bytes = 1 << 20;
  const uint32_t stack = pages.AddStack({0x1100});
  for (int i = 0; i < 200; ++i) {
    pages.AddRecord({.size = 100'000, .stack = stack});
    pages.AddRecord({.size = 100'000, .stack = stack, .kind = BlockKind::kMmap});
  }
  const Snapshot out = CaptureDead(pages.Seal());
  ASSERT_EQ(out.sites.size(), 2u);
  const Site& heap = out.sites[0].kind == SiteKind::kHeap ? out.sites[0] : out.sites[1];
  const Site& mapping = out.sites[0].kind == SiteKind::kHeap ? out.sites[1] : out.sites[0];
  EXPECT_EQ(mapping.live_bytes.value, 200 * 100'000);
  EXPECT_EQ(mapping.live_bytes.variance, 0);
  EXPECT_GT(heap.live_bytes.samples, 0u);
  EXPECT_LT(heap.live_bytes.samples, 100u);
  EXPECT_NEAR(heap.live_bytes.value, 200 * 100'000, 5 * std::sqrt(heap.live_bytes.variance));
  EXPECT_FALSE(out.sampling.exact);
}

TEST(LedgerSites, AProcessThatWasEverSampledIsNotExact) {
  PageBuilder pages;
  pages.header().sampling_points = 2;
  pages.header().sampling[0] = {testing::kStartedNs, 4096};
  pages.header().sampling[1] = {testing::kStartedNs + 1'000'000'000, 1};
  const Snapshot out = CaptureDead(pages.Seal());
  EXPECT_FALSE(out.sampling.exact);
  ASSERT_EQ(out.sampling.history.size(), 2u);
  EXPECT_EQ(out.sampling.history[1].time_ms, kStartedMs + 1000);
}

TEST(LedgerSites, TheHeaderTellsWhoAndHowItEnded) {
  PageBuilder pages;
  pages.header().image_end = static_cast<uint32_t>(protocol::ImageEnd::kExit);
  pages.header().exit_status = 3;
  pages.header().activity_points = 2;
  pages.header().activity[0] = {testing::kStartedNs, 0};
  pages.header().activity[1] = {testing::kStartedNs + 2'000'000'000, 500};
  pages.header().allocated_bytes = 900;
  pages.header().lost_records = 2;
  const Snapshot out = CaptureDead(pages.Seal());
  EXPECT_EQ(out.process.pid, 4242);
  EXPECT_EQ(out.process.command, (std::vector<std::string>{"subject", "--flag"}));
  EXPECT_EQ(out.process.end, snapshot::End::kExit);
  EXPECT_EQ(out.process.exit_status, 3);
  EXPECT_EQ(out.losses.records, 2u);
  ASSERT_EQ(out.activity.size(), 3u);
  EXPECT_EQ(out.activity[1].time_ms, kStartedMs + 2'000);
  EXPECT_EQ(out.activity[2].allocated_bytes, 900u);
}

}  // namespace
}  // namespace leakhunt::ledger
