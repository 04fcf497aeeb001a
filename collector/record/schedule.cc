#include "collector/record/schedule.h"

#include <algorithm>
#include <utility>

namespace leakhunt::record {

SnapshotSchedule::SnapshotSchedule(int64_t start_ms, int64_t interval_ms, std::vector<uint64_t> rss_thresholds)
    : interval_ms_(interval_ms),
      start_ms_(start_ms),
      next_ms_(start_ms + std::min(interval_ms, kFirstSnapshotMs)),
      rss_thresholds_(std::move(rss_thresholds)) {}

bool SnapshotSchedule::Closeness::Fires(uint64_t used, uint64_t limit) {
  if (limit == 0) return false;
  double share = static_cast<double>(used) / static_cast<double>(limit);
  if (share < kLimitRelease) fired = false;
  if (share < kLimitShare || fired) return false;
  fired = true;
  return true;
}

bool SnapshotSchedule::LimitReached(const ScheduleReading& reading) {
  // Every closeness is asked, so that two reached at once make one snapshot.
  bool cgroup = cgroup_.Fires(reading.cgroup_bytes, reading.cgroup_limit_bytes);
  bool working = cgroup_working_.Fires(reading.cgroup_working_bytes, reading.cgroup_limit_bytes);
  bool address_space = address_space_.Fires(reading.virtual_bytes, reading.address_space_limit_bytes);
  bool handles = handles_.Fires(reading.open_handles, reading.handle_limit);
  return cgroup || working || address_space || handles;
}

bool SnapshotSchedule::ThresholdPassed(uint64_t rss_bytes) {
  bool passed = false;
  while (next_threshold_ < rss_thresholds_.size() && rss_bytes >= rss_thresholds_[next_threshold_]) {
    ++next_threshold_;
    passed = true;
  }
  return passed;
}

// The cadence is kept: a late tick does not shift the ones after it, and missed ones are not made up for. A clock set back
// starts the cadence anew; it must not stop it.
bool SnapshotSchedule::IntervalPassed(int64_t now_ms) {
  if (next_ms_ - now_ms > interval_ms_) {
    start_ms_ = now_ms - interval_ms_;
    next_ms_ = now_ms + interval_ms_;
  }
  if (now_ms < next_ms_) return false;
  const int64_t passed_ms = now_ms - start_ms_;
  int64_t next_after_start_ms = kFirstSnapshotMs;
  while (next_after_start_ms <= passed_ms && next_after_start_ms < interval_ms_) next_after_start_ms *= 2;
  next_ms_ = start_ms_ + (next_after_start_ms < interval_ms_ ? next_after_start_ms : (passed_ms / interval_ms_ + 1) * interval_ms_);
  return true;
}

const char* SnapshotSchedule::Due(const ScheduleReading& reading, int64_t now_ms) {
  bool limit = LimitReached(reading);
  bool threshold = ThresholdPassed(reading.rss_bytes);
  bool interval = IntervalPassed(now_ms);
  if (limit) return "limit";
  if (threshold) return "rss";
  return interval ? "interval" : nullptr;
}

}  // namespace leakhunt::record
