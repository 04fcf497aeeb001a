// The busy part of a history that ends idle. When the work of a process stops, its leaks stop with it: a verdict over the
// whole run would then say that nothing grows, while every leaked block is still live. Pure functions.
#pragma once

#include <cstdint>

#include "collector/verdict/thresholds.h"
#include "collector/verdict/verdict.h"

namespace leakhunt::verdict {

// The time of the last snapshot before the process went idle; 0 when it works on, or when the busy part is too short to
// judge. Idle: work a second is at most `idle_rate` of what it was before.
int64_t BusyUntil(const History& history, const Thresholds& thresholds);

// The history up to `until_ms`, with what later snapshots say of its blocks: which of them live, and all deaths. Blocks
// that were freed after `until_ms` count as dead, so that a leak which was given back is no longer one.
History UpTo(const History& history, int64_t until_ms);

// Growth from `from_ms` to the last point, a second: Theil–Sen, with the limits of FindTrend.
snapshot::Estimate RateSince(const History& history, int64_t from_ms);

}  // namespace leakhunt::verdict
