#include "collector/verdict/consistency.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>

#include "collector/snapshot/estimate.h"

namespace leakhunt::verdict {

namespace {

constexpr int64_t kSameTimeMs = 250;
constexpr double kMargin = 1.1, kMarginBytes = 1 << 20;  // what was allocated between the two looks

double LiveLow(const snapshot::Snapshot& snapshot) {
  snapshot::Weighted sum;
  for (const snapshot::Site& site : snapshot.sites) {
    if (site.kind != snapshot::SiteKind::kHeap) continue;
    sum.samples += site.live_bytes.samples;
    sum.value += site.live_bytes.value;
    sum.variance += site.live_bytes.variance;
    sum.largest_weight = std::max(sum.largest_weight, site.live_bytes.largest_weight);
    sum.moved_down += site.live_bytes.moved_down;
    sum.moved_up += site.live_bytes.moved_up;
  }
  return snapshot::Limits(sum).low;
}

}  // namespace

std::optional<MoreThanMemory> FindMoreThanMemory(const snapshot::Snapshot& snapshot) {
  if (snapshot.vitals.empty()) return std::nullopt;
  const snapshot::VitalsPoint& point = snapshot.vitals.back();
  if (point.rss_bytes == 0 || std::llabs(snapshot.time_ms - point.time_ms) > kSameTimeMs) return std::nullopt;
  MoreThanMemory more{LiveLow(snapshot), static_cast<double>(point.rss_bytes + point.swap_bytes), false};
  if (more.live_low_bytes <= kMargin * more.in_memory_bytes + kMarginBytes) return std::nullopt;
  const bool beyond_addresses = point.virtual_bytes > 0 && more.live_low_bytes > static_cast<double>(point.virtual_bytes);
  more.frees_unseen = snapshot.losses.stale_records > 0 || beyond_addresses;
  return more;
}

std::string MoreThanMemory::Text() const {
  constexpr double kMiB = 1 << 20;
  return fmt::format("{:.1f} MiB or more are said to live, but the process has {:.1f} MiB in memory: blocks {}", live_low_bytes / kMiB,
                     in_memory_bytes / kMiB,
                     frees_unseen ? "were freed where leakhunt does not see it, so no growth of the heap proves a leak"
                                  : "were never touched, or were freed where leakhunt does not see it");
}

}  // namespace leakhunt::verdict
