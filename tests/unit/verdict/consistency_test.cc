// More live bytes than memory is said and proves no leak.
#include "collector/verdict/consistency.h"

#include <gtest/gtest.h>

#include "collector/verdict/verdict.h"

namespace leakhunt::verdict {
namespace {

constexpr double kMiB = 1 << 20;

snapshot::Snapshot WithHeap(double live_bytes, double rss_bytes) {
  snapshot::Snapshot s;
  s.time_ms = 100'000;
  snapshot::Site site;
  site.kind = snapshot::SiteKind::kHeap;
  site.live_bytes.samples = 10;
  site.live_bytes.value = live_bytes;
  s.sites.push_back(site);
  snapshot::VitalsPoint point;
  point.time_ms = 100'000;
  point.rss_bytes = static_cast<uint64_t>(rss_bytes);
  point.virtual_bytes = static_cast<uint64_t>(500 * kMiB);
  s.vitals.push_back(point);
  return s;
}

TEST(Consistency, MoreLiveThanInMemoryIsSaid) {
  EXPECT_FALSE(FindMoreThanMemory(WithHeap(3 * kMiB, 4 * kMiB)));
  const auto untouched = FindMoreThanMemory(WithHeap(415 * kMiB, 3.6 * kMiB));
  ASSERT_TRUE(untouched);
  EXPECT_FALSE(untouched->frees_unseen) << "it may never have been touched";
  EXPECT_NE(untouched->Text().find("415.0 MiB"), std::string::npos) << untouched->Text();
  snapshot::Snapshot stale = WithHeap(415 * kMiB, 3.6 * kMiB);
  stale.losses.stale_records = 5;
  EXPECT_TRUE(FindMoreThanMemory(stale)->frees_unseen);
  EXPECT_TRUE(FindMoreThanMemory(WithHeap(600 * kMiB, 3.6 * kMiB))->frees_unseen) << "there are not so many addresses";
}

TEST(Consistency, NothingIsSaidWhereMemoryIsNotKnown) {
  snapshot::Snapshot s = WithHeap(415 * kMiB, 0);
  EXPECT_FALSE(FindMoreThanMemory(s));
  s = WithHeap(415 * kMiB, 3 * kMiB);
  s.vitals.back().time_ms -= 1000;
  EXPECT_FALSE(FindMoreThanMemory(s)) << "measured a second before";
  s = WithHeap(415 * kMiB, 3 * kMiB);
  s.vitals.back().swap_bytes = static_cast<uint64_t>(420 * kMiB);
  EXPECT_FALSE(FindMoreThanMemory(s));
  s = WithHeap(415 * kMiB, 3 * kMiB);
  s.sites[0].kind = snapshot::SiteKind::kMmap;
  EXPECT_FALSE(FindMoreThanMemory(s)) << "mappings are measured in memory";
}

}  // namespace
}  // namespace leakhunt::verdict
