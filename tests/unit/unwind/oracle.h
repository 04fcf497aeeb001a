// The oracle of the unwinder's tests: libunwind walks the same stack from the same place, frame by frame.
#pragma once

#include <cstdint>

#include "preload/unwind/unwinder.h"

namespace leakhunt::unwind_test {

inline constexpr uint32_t kMostFrames = 240;

struct Tally {
  uint64_t walks = 0, same = 0, known_differs = 0;
  uint64_t frames = 0, known = 0;
  uint64_t stops[8] = {};  // by StopReason
};

// Walks from the caller of this function with Walk, WalkKnown and libunwind, compares them and counts in Totals.
// `show` differences at most are printed to stderr.
[[gnu::noinline]] void CompareWalks(uint32_t show = 3);

// Of all threads. Not to be read while others compare.
Tally& Totals();

// Forget this thread's stack limits (it moved to another stack).
void ForgetLimits();

}  // namespace leakhunt::unwind_test
