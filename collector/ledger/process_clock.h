// The guest's clocks in Unix milliseconds, and the birth cohorts every site of a process shares.
//
// Cohort edges. Time since the start of the image is cut into equal cohorts of 2^k ticks (10 ms each), k the
// smallest for which 64 cohorts reach the present. Edges depend on the process's start and k alone: all sites share
// them, two snapshots with the same k have the same edges, and when k has grown the new edges are every second one of
// the old, so an older snapshot is brought to a newer one's edges by adding neighbours.
#pragma once

#include <cstdint>

#include "preload/protocol/layout.h"

namespace leakhunt::ledger {

inline constexpr uint32_t kMaxCohorts = 64;

class ProcessClock {
 public:
  // `now_ms` may disagree with the guest's clock (the wall clock may have been set); the later of the two counts.
  ProcessClock(const protocol::ProcessHeader& header, int64_t now_ms);

  int64_t started_ms() const { return started_ms_; }
  int64_t TickMs(uint32_t tick) const;
  uint32_t TickAt(int64_t time_ms) const;  // 0: before the start
  int64_t MonotonicMs(uint64_t monotonic_ns) const;

  uint32_t CohortOf(uint32_t birth_tick) const;
  int64_t CohortStartMs(uint32_t cohort) const;

  // A birth that claims to lie in the future is taken as now.
  uint32_t ClampTick(uint32_t tick) const { return tick < now_tick_ ? tick : now_tick_; }

 private:
  int64_t started_ms_ = 0;
  uint64_t started_ns_ = 0;
  uint32_t now_tick_ = 0;
  uint32_t cohort_shift_ = 0;
};

}  // namespace leakhunt::ledger
