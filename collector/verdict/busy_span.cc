#include "collector/verdict/busy_span.h"

#include <algorithm>

#include "collector/verdict/trend.h"

namespace leakhunt::verdict {

namespace {

// The point by which work ran farthest ahead of the wall clock: where a busy span ends and an idle one begins.
size_t Knee(const std::vector<HistoryPoint>& points, int64_t start_ms) {
  double span = static_cast<double>(points.back().time_ms - start_ms), work = points.back().activity;
  size_t knee = 0;
  double most = 0;
  for (size_t i = 0; i + 1 < points.size(); ++i) {
    double ahead = points[i].activity / work - static_cast<double>(points[i].time_ms - start_ms) / span;
    if (ahead <= most) continue;
    most = ahead;
    knee = i;
  }
  return knee;
}

}  // namespace

int64_t BusyUntil(const History& history, const Thresholds& thresholds) {
  const auto& points = history.points;
  if (points.size() < 3 || points.back().activity <= 0) return 0;
  int64_t start_ms = points.front().time_ms;
  if (history.process_started_ms > 0) start_ms = std::min(start_ms, history.process_started_ms);
  const HistoryPoint &last = points.back(), &knee = points[Knee(points, start_ms)];
  double busy_ms = static_cast<double>(knee.time_ms - start_ms);
  double idle_ms = static_cast<double>(last.time_ms - knee.time_ms);
  if (busy_ms < static_cast<double>(thresholds.min_busy_ms) || idle_ms < static_cast<double>(thresholds.min_idle_ms)) return 0;
  double before = knee.activity / busy_ms, after = (last.activity - knee.activity) / idle_ms;
  return after <= thresholds.idle_rate * before ? knee.time_ms : 0;
}

History UpTo(const History& history, int64_t until_ms) {
  History out = history;
  std::erase_if(out.points, [&](const HistoryPoint& point) { return point.time_ms > until_ms; });
  if (out.points.empty()) return out;
  out.points.back().freed_samples = history.points.back().freed_samples;
  out.points.back().lifetimes = history.points.back().lifetimes;
  std::erase_if(out.earlier, [&](const CohortSet& set) { return set.time_ms >= until_ms; });
  std::erase_if(out.cohorts, [&](const snapshot::Cohort& cohort) { return cohort.from_ms >= until_ms; });
  std::erase_if(out.activity, [&](const snapshot::ActivityPoint& point) { return point.time_ms > until_ms; });
  return out;
}

snapshot::Estimate RateSince(const History& history, int64_t from_ms) {
  Series series;
  const auto& points = history.points;
  for (size_t i : Thin(points.size(), [&](size_t k) { return static_cast<double>(points[k].time_ms); })) {
    double x = static_cast<double>(points[i].time_ms - from_ms) / 1000;
    if (x < 0 || (!series.x.empty() && x <= series.x.back())) continue;
    series.x.push_back(x);
    series.y.push_back(points[i].live);
  }
  Slope slope = FindTrend(series).slope;
  return {slope.value, slope.low, slope.high};
}

}  // namespace leakhunt::verdict
