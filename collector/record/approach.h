// How soon to look again at something that grows towards a goal.
//
// A leak of a gigabyte a second passes from half its limit to death between two ordinary ticks; the snapshot at 90 %
// is worth having only if it is taken in time. Pure: fed with readings and a clock.
#pragma once

#include <cstdint>

namespace leakhunt::record {

class Approach {
 public:
  // `value` on its way to `goal` (0 = none). Milliseconds until the next look: half the time the goal is away at the
  // present rate, within [kSoonestMs, kLatestMs].
  int64_t NextLookMs(uint64_t value, uint64_t goal, int64_t now_ms);

  static constexpr int64_t kSoonestMs = 5;
  static constexpr int64_t kLatestMs = 250;

 private:
  uint64_t last_value_ = 0;
  int64_t last_ms_ = 0;
};

}  // namespace leakhunt::record
