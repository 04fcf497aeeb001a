// The cost of leakhunt in the program: measured, and held under the budget by choosing the sampling interval.
//
// Cost = visits to the slow path x the unit cost; one visit in 512 is timed, those of the heap and all others apart. A timed opening
// takes the longer way (usual_handles.h), so what descriptors cost is rather said too high.
// Under a budget b (share of the process's own CPU time) the interval that spends exactly b is T·c/b, c the share spent at T, because visits go as 1/T;
// from exact mode, where blocks and not bytes count, T = 2·B·u/b, B bytes allocated a second of CPU and u the unit cost.
// Descriptors and mappings are never sampled, and no interval makes them cheaper: what they cost is taken off the budget
// first, but a sixteenth of it stays for the heap, and 50 births a second for each percent of it, whatever they cost: a process
// that mostly sleeps has little CPU to take a share of.
// When T would fall below 64 bytes it is 1 (exact), until that costs more than b. Steps are damped.
#pragma once

#include <cstdint>

#include "preload/core/thread_state.h"
#include "preload/sys/hot.h"

namespace leakhunt::core {

inline constexpr uint64_t kFirstIntervalBytes = 64 * 1024;  // with a budget, until the first measurement

inline constexpr uint64_t kTimedEvery = 512;
inline constexpr uint64_t kHousekeepEvery = 64;

// Around the work of one visit to the slow path.
LEAKHUNT_ASIDE void BeginTimedVisit(ThreadState* state);
inline void VisitBegin(ThreadState* state) {
  if (__builtin_expect(state->visits % kTimedEvery == 0, 0)) BeginTimedVisit(state);
}
LEAKHUNT_ASIDE void Housekeep(ThreadState* state);
inline void VisitEnd(ThreadState* state) {
  if (__builtin_expect(state->visits++ % kHousekeepEvery == 0, 0)) Housekeep(state);
}
// The next visit has more to do than to be counted.
inline bool VisitIsSpecial(const ThreadState* state) {
  static_assert(kTimedEvery % kHousekeepEvery == 0);
  return state->visits % kHousekeepEvery == 0;
}
inline void CountVisit(ThreadState* state) { ++state->visits; }

// The mean interval of the whole process from now on; threads adopt it at their next visit. Clamped to what
// protocol::EncodeInterval expresses. Written to the header's history.
void SetInterval(uint64_t interval_bytes);

// Writes the unwinder's count to the header. Done every kHousekeepEvery visits; to be done once more at the end.
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
