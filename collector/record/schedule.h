// When a snapshot of one process is due: the start, the interval, RSS thresholds, closeness to a limit.
//
// A process is looked at 1, 2, 4, 8 ... seconds after its start until the interval has passed, so that the first minute of
// a recording has answers; then once per interval. An interval of 10 s: 1, 2, 4, 8, 10, 20, 30 s.
//
// Pure: fed with readings and a clock value, no clock or file of its own.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace leakhunt::record {

struct ScheduleReading {
  uint64_t rss_bytes = 0;  // leakhunt's own pages left out
  uint64_t cgroup_bytes = 0, cgroup_working_bytes = 0, cgroup_limit_bytes = 0;
  uint64_t virtual_bytes = 0, address_space_limit_bytes = 0;
  uint64_t open_handles = 0, handle_limit = 0;
};

class SnapshotSchedule {
 public:
  // `interval_ms` > 0; `rss_thresholds` ascending.
  SnapshotSchedule(int64_t start_ms, int64_t interval_ms, std::vector<uint64_t> rss_thresholds);

  // "interval", "rss", "limit", or null. The strongest reason wins; what it covers does not fire again for it.
  const char* Due(const ScheduleReading& reading, int64_t now_ms);

  // RSS of the threshold to be passed next; 0 = none.
  uint64_t NextThreshold() const {
    return next_threshold_ < rss_thresholds_.size() ? rss_thresholds_[next_threshold_] : 0;
  }

 private:
  // One closeness: fires at kLimitShare, again only after it fell below kLimitRelease.
  struct Closeness {
    bool fired = false;
    bool Fires(uint64_t used, uint64_t limit);
  };
  bool LimitReached(const ScheduleReading& reading);
  bool ThresholdPassed(uint64_t rss_bytes);

  bool IntervalPassed(int64_t now_ms);

  int64_t interval_ms_;
  int64_t start_ms_;  // the cadence counts from here
  int64_t next_ms_;
  std::vector<uint64_t> rss_thresholds_;
  size_t next_threshold_ = 0;
  Closeness cgroup_, cgroup_working_, address_space_, handles_;
};

inline constexpr int64_t kFirstSnapshotMs = 1000;
inline constexpr double kLimitShare = 0.9;
inline constexpr double kLimitRelease = 0.8;

}  // namespace leakhunt::record
