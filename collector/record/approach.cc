#include "collector/record/approach.h"

#include <algorithm>

namespace leakhunt::record {

int64_t Approach::NextLookMs(uint64_t value, uint64_t goal, int64_t now_ms) {
  bool first = last_ms_ == 0;
  double grown = static_cast<double>(value) - static_cast<double>(last_value_);
  double elapsed_ms = static_cast<double>(std::max<int64_t>(now_ms - last_ms_, 1));
  last_value_ = value;
  last_ms_ = now_ms;
  if (goal == 0 || value >= goal) return kLatestMs;
  if (first) return kLatestMs / 10;  // no rate yet: a second look soon
  if (grown <= 0) return kLatestMs;
  double remaining_ms = static_cast<double>(goal - value) / (grown / elapsed_ms);
  return static_cast<int64_t>(
      std::clamp(remaining_ms / 2, static_cast<double>(kSoonestMs), static_cast<double>(kLatestMs)));
}

}  // namespace leakhunt::record
