// The cost of leakhunt in the program: measured, and held under the budget by choosing the sampling interval.
//
// Cost = visits to the slow path x the unit cost + what the hooks do for blocks that are not sampled, of which there are as many as the
// weights of the sampled ones say. About one visit in 511 is timed, those of the heap and all others apart, and its time counts 1.4
// times, for what is not measured of it. A timed opening takes the longer way (usual_handles.h), so what descriptors cost is
// rather said too high.
// Which interval spends the budget is decided by interval_control.h.
#pragma once

#include <cstdint>

#include "preload/core/thread_state.h"
#include "preload/sys/hot.h"

namespace leakhunt::core {

inline constexpr uint64_t kFirstIntervalBytes = 64 * 1024;  // with a budget, until the first measurement

inline constexpr uint64_t kHousekeepEvery = 64;  // visits of a thread; usual openings may pass it by, see GrantOpenings
inline constexpr uint64_t kTimedEvery = 511;  // odd: births and deaths may take turns, and each must have its own

// Around the work of one visit to the slow path.
LEAKHUNT_ASIDE void BeginDueVisit(ThreadState* state);
inline void VisitBegin(ThreadState* state) {
  state->visits -= state->openings_left;
  state->openings_left = 0;  // a visit takes time; nor is an opening dated before its stack was known
  if (__builtin_expect(state->visits >= state->housekeeping_due, 0)) BeginDueVisit(state);
}
LEAKHUNT_ASIDE void Housekeep(ThreadState* state, bool opening);
inline void VisitEnd(ThreadState* state, bool opening = false) {
  if (__builtin_expect(state->visits++ >= state->housekeeping_due, 0)) Housekeep(state, opening);
}

// Some openings, one at least, for usual_handles.h to make without any visit of theirs: counts them as visits already, and dates
// them. More than one only while openings come so fast that all before them were of the same tick. False, with nothing
// done: housekeeping is due, and not only so lately that it may wait.
LEAKHUNT_ASIDE bool GrantOpenings(ThreadState* state);

// The mean interval of the whole process from now on; threads adopt it at their next visit. Clamped to what
// protocol::EncodeInterval expresses. Written to the header's history.
void SetInterval(uint64_t interval_bytes);

// Writes the unwinder's count to the header. Done at each housekeeping; to be done once more at the end.
void PublishFallbackWalks();

// In a new process image or forked child: nothing measured yet (its CPU clock and counters start at 0).
void ForgetMeasurements();

// Lets the calling thread draw under the process's present interval if it changed.
inline void AdoptInterval(ThreadState* state);

}  // namespace leakhunt::core

#include "preload/core/process.h"

inline void leakhunt::core::AdoptInterval(ThreadState* state) {
  uint64_t interval = sys::LoadRelaxed(&g_process.interval_bytes);
  if (__builtin_expect(interval != state->sampler.Interval(), 0)) state->sampler.SetInterval(interval, &t_local.countdown);
}
