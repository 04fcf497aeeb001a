// How fast each site grows, from the snapshots of its recording.
#pragma once

#include <optional>
#include <unordered_map>
#include <vector>

#include "collector/snapshot/model.h"
#include "viewer/site_key.h"

namespace leakhunt::viewer {

// Slopes a second: bytes for memory sites, handles for handle sites.
using GrowthRates = std::unordered_map<SiteKey, double>;

// `history`: snapshots of one recording in time order. The slope is Theil and Sen's: the median of the slopes between all pairs
// of snapshots, so one odd snapshot does not bend it. A site missing from a snapshot held nothing then.
//
// With a single snapshot (or two within a moment of each other) the slope is the smaller of two rates: what is live now
// over the time since the start, and what is live of the second half of that time over that half. A start-up table has
// none of the second, a leak has both.
GrowthRates MeasureGrowth(const std::vector<snapshot::Snapshot>& history);

// Median of the pairwise slopes; nullopt when there are fewer than two distinct times.
std::optional<double> TheilSenSlope(const std::vector<double>& times, const std::vector<double>& values);

}  // namespace leakhunt::viewer
