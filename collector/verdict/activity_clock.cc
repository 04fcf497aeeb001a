#include "collector/verdict/activity_clock.h"

#include <algorithm>

namespace leakhunt::verdict {

namespace {
constexpr size_t kMostKnots = 128;
}

Clock::Clock(const History& history, int64_t start_ms, int64_t end_ms) : start_ms_(start_ms), end_ms_(end_ms) {
  auto add = [&](int64_t time_ms, double done) {
    if (time_ms < start_ms || time_ms > end_ms) return;
    if (!knots_.empty() && (time_ms <= knots_.back().time_ms || done < knots_.back().done)) return;
    knots_.push_back({time_ms, done});
  };
  knots_.reserve(kMostKnots + 2);
  add(start_ms, 0);
  if (history.activity.size() >= 3) {
    for (const auto& point : history.activity) add(point.time_ms, static_cast<double>(point.allocated_bytes));
  } else {
    size_t step = std::max<size_t>(1, history.points.size() / kMostKnots);
    for (size_t i = 0; i < history.points.size(); i += step) add(history.points[i].time_ms, history.points[i].activity);
  }
  if (!history.points.empty()) add(history.points.back().time_ms, history.points.back().activity);
  if (knots_.size() < 3 || knots_.back().done <= 0) {
    knots_.clear();
    return;
  }
  double whole = knots_.back().done;
  for (Knot& knot : knots_) knot.done /= whole;
}

double Clock::Wall(int64_t time_ms) const {
  if (end_ms_ <= start_ms_) return 0;
  double fraction = static_cast<double>(time_ms - start_ms_) / static_cast<double>(end_ms_ - start_ms_);
  return std::clamp(fraction, 0.0, 1.0);
}

double Clock::Activity(int64_t time_ms) const {
  if (knots_.empty()) return Wall(time_ms);
  if (time_ms <= knots_.front().time_ms) return knots_.front().done;
  if (time_ms >= knots_.back().time_ms) return 1;
  auto after = std::upper_bound(knots_.begin(), knots_.end(), time_ms,
                                [](int64_t t, const Knot& knot) { return t < knot.time_ms; });
  const Knot& a = *(after - 1);
  double part = static_cast<double>(time_ms - a.time_ms) / static_cast<double>(after->time_ms - a.time_ms);
  return a.done + part * (after->done - a.done);
}

int64_t Clock::When(ClockKind kind, double fraction) const {
  if (kind == ClockKind::kWall || knots_.empty()) {
    return start_ms_ + static_cast<int64_t>(fraction * static_cast<double>(end_ms_ - start_ms_));
  }
  auto after = std::lower_bound(knots_.begin(), knots_.end(), fraction,
                                [](const Knot& knot, double f) { return knot.done < f; });
  if (after == knots_.begin()) return after->time_ms;
  if (after == knots_.end()) return end_ms_;
  const Knot& a = *(after - 1);
  double rise = after->done - a.done;
  double part = rise > 0 ? (fraction - a.done) / rise : 1;
  return a.time_ms + static_cast<int64_t>(part * static_cast<double>(after->time_ms - a.time_ms));
}

}  // namespace leakhunt::verdict
