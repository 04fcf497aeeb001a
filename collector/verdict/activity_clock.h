// Two clocks for one history, both as fractions of the run: wall time, and the allocation weight of the whole process.
// A service that sleeps at night leaks nothing at night; on the activity clock its leak is a straight line.
#pragma once

#include <cstdint>
#include <vector>

#include "collector/verdict/verdict.h"

namespace leakhunt::verdict {

enum class ClockKind : uint8_t { kWall, kActivity };

class Clock {
 public:
  // A run that did nothing, or whose activity is unknown, gets wall time for both.
  Clock(const History& history, int64_t start_ms, int64_t end_ms);

  // 0 at the start, 1 at the last point; monotone; clamped outside.
  double At(ClockKind kind, int64_t time_ms) const {
    return kind == ClockKind::kWall ? Wall(time_ms) : Activity(time_ms);
  }
  // The moment when the fraction had passed.
  int64_t When(ClockKind kind, double fraction) const;

 private:
  struct Knot {
    int64_t time_ms;
    double done;
  };
  double Wall(int64_t time_ms) const;
  double Activity(int64_t time_ms) const;

  int64_t start_ms_, end_ms_;
  std::vector<Knot> knots_;  // time order, from 0 to 1; empty = wall time
};

}  // namespace leakhunt::verdict
