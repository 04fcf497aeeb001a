#include "collector/ledger/process_clock.h"

#include <algorithm>

namespace leakhunt::ledger {

namespace {

constexpr int64_t kTickMs = protocol::kTickNs / 1'000'000;
constexpr int64_t kLatestMs = int64_t{1} << 45;  // beyond the year 3000; keeps hostile times from overflowing

int64_t Bounded(int64_t time_ms) { return std::clamp<int64_t>(time_ms, 0, kLatestMs); }

}  // namespace

ProcessClock::ProcessClock(const protocol::ProcessHeader& header, int64_t now_ms)
    : started_ms_(Bounded(header.started_realtime_ns / 1'000'000)), started_ns_(header.started_ns) {
  int64_t latest_ms = Bounded(now_ms);
  if (header.activity_points > 0) {
    latest_ms = std::max(latest_ms, MonotonicMs(header.activity[header.activity_points - 1].time_ns));
  }
  now_tick_ = TickAt(latest_ms);
  while ((now_tick_ >> cohort_shift_) >= kMaxCohorts) ++cohort_shift_;
}

int64_t ProcessClock::TickMs(uint32_t tick) const { return started_ms_ + static_cast<int64_t>(tick) * kTickMs; }

// Tick 1 is the first (NowTick, in the guest).
uint32_t ProcessClock::TickAt(int64_t time_ms) const {
  const int64_t ticks = (Bounded(time_ms) - started_ms_) / kTickMs + 1;
  return static_cast<uint32_t>(std::clamp<int64_t>(ticks, 0, 0xFFFF'FFFF));
}

int64_t ProcessClock::MonotonicMs(uint64_t monotonic_ns) const {
  if (monotonic_ns <= started_ns_) return started_ms_;
  return Bounded(started_ms_ + static_cast<int64_t>((monotonic_ns - started_ns_) / 1'000'000));
}

uint32_t ProcessClock::CohortOf(uint32_t birth_tick) const { return ClampTick(birth_tick) >> cohort_shift_; }

int64_t ProcessClock::CohortStartMs(uint32_t cohort) const {
  return started_ms_ + ((static_cast<int64_t>(cohort) << cohort_shift_) * kTickMs);
}

}  // namespace leakhunt::ledger
