#include "collector/verdict/hazard.h"

#include <algorithm>
#include <cmath>

#include "collector/verdict/cohorts.h"

namespace leakhunt::verdict {

namespace {

constexpr double kTickMs = 10;  // unit of the lifetime buckets
constexpr double kFewAtRisk = 12;  // recorded blocks below which cohorts say less than the lifetimes of all

// The window of births narrowed to limits that both sets know, so that no cohort has to be split.
struct Window {
  int64_t from_ms, to_ms;
};

// Cohorts without survivors may be absent, so the limits come from the earlier set, then step off later cohorts.
Window Narrow(const std::vector<snapshot::Cohort>& then, const std::vector<snapshot::Cohort>& later, Window window) {
  Window out{window.to_ms, window.from_ms};
  for (const auto& cohort : then) {
    if (cohort.from_ms < window.from_ms || cohort.to_ms > window.to_ms) continue;
    out.from_ms = std::min(out.from_ms, cohort.from_ms);
    out.to_ms = std::max(out.to_ms, cohort.to_ms);
  }
  int64_t from_ms = out.from_ms, to_ms = out.to_ms;
  for (const auto& cohort : later) {
    if (cohort.from_ms < from_ms && cohort.to_ms > from_ms) out.from_ms = cohort.to_ms;
    if (cohort.from_ms < to_ms && cohort.to_ms > to_ms) out.to_ms = cohort.from_ms;
  }
  return out;
}

void Compare(const CohortSet& then, int64_t later_ms, const std::vector<snapshot::Cohort>& later, int64_t from_ms,
             int64_t age_ms, LateHazard& hazard, double& exposure) {
  Window window = Narrow(then.cohorts, later, {from_ms, then.time_ms - age_ms});
  if (window.to_ms <= window.from_ms) return;
  double before = BornIn(then.cohorts, window.from_ms, window.to_ms, Measure::kSamples);
  double after = BornIn(later, window.from_ms, window.to_ms, Measure::kSamples);
  if (before <= 0) return;
  double watched_ms = static_cast<double>(later_ms - then.time_ms);
  hazard.at_risk = std::max(hazard.at_risk, before);
  hazard.deaths += before - after;
  hazard.span_ms += watched_ms;
  exposure += (before + std::min(before, after)) / 2 * watched_ms;
}

LateHazard FromLifetimes(const History& history, int64_t from_ms, int64_t age_ms) {
  LateHazard hazard;
  const HistoryPoint& last = history.points.back();
  double alive = BornIn(history.cohorts, from_ms, last.time_ms - age_ms, Measure::kSamples);
  hazard.deaths = DeathsOlderThan(last, age_ms);
  hazard.at_risk = alive + hazard.deaths;
  if (alive <= 0) return hazard;
  hazard.known = true;
  hazard.span_ms = static_cast<double>(last.time_ms - from_ms - age_ms);
  // Blocks reached `age_ms` evenly over the span, so that one was watched for half of it on average.
  hazard.expected = 2 * hazard.deaths / hazard.at_risk;
  hazard.expected_high = 2 * PoissonHigh(hazard.deaths) / hazard.at_risk;
  return hazard;
}

}  // namespace

double PoissonHigh(double count) {
  double k = count + 1, z = 1.96;
  return k * std::pow(1 - 1 / (9 * k) + z / (3 * std::sqrt(k)), 3);
}

double PoissonAtMost(double count, double mean) {
  if (mean <= 0) return 1;
  double sum = 0;
  for (double k = 0; k <= std::floor(count + 0.5) && k < 100'000; ++k) {
    sum += std::exp(-mean + k * std::log(mean) - std::lgamma(k + 1));
  }
  return std::min(1.0, sum);
}

double DeathsOlderThan(const HistoryPoint& point, int64_t age_ms) {
  double deaths = 0, all = 0;
  for (int b = 0; b < snapshot::kLifetimeBuckets; ++b) {
    double to_ms = b + 1 == snapshot::kLifetimeBuckets ? 1e300 : kTickMs * std::ldexp(1.0, b);
    auto count = static_cast<double>(point.lifetimes[static_cast<size_t>(b)]);
    all += count;
    if (to_ms > static_cast<double>(age_ms)) deaths += count;
  }
  return all > 0 ? deaths : point.freed_samples;  // handles have no lifetimes: any of them may have been old
}

LateHazard FindLateHazard(const History& history, int64_t from_ms, int64_t age_ms, int64_t horizon_ms) {
  LateHazard hazard;
  double exposure = 0;
  for (size_t k = 0; k < history.earlier.size(); ++k) {
    bool newest = k + 1 == history.earlier.size();
    int64_t later_ms = newest ? history.points.back().time_ms : history.earlier[k + 1].time_ms;
    const auto& later = newest ? history.cohorts : history.earlier[k + 1].cohorts;
    Compare(history.earlier[k], later_ms, later, from_ms, age_ms, hazard, exposure);
  }
  LateHazard by_lifetimes = FromLifetimes(history, from_ms, age_ms);
  if (exposure <= 0) return by_lifetimes;
  hazard.known = true;
  hazard.deaths = std::max(0.0, hazard.deaths);
  hazard.expected = hazard.deaths / exposure * static_cast<double>(horizon_ms);
  hazard.expected_high = PoissonHigh(hazard.deaths) / exposure * static_cast<double>(horizon_ms);
  bool few = hazard.at_risk < kFewAtRisk && by_lifetimes.known && by_lifetimes.expected_high < hazard.expected_high;
  return few ? by_lifetimes : hazard;
}

}  // namespace leakhunt::verdict
