#include "collector/verdict/cohorts.h"

#include <algorithm>
#include <cmath>

namespace leakhunt::verdict {

namespace {

constexpr ClockKind kClocks[] = {ClockKind::kWall, ClockKind::kActivity};

double ShareInside(const snapshot::Cohort& cohort, int64_t from_ms, int64_t to_ms) {
  int64_t low = std::max(cohort.from_ms, from_ms), high = std::min(cohort.to_ms, to_ms);
  if (cohort.to_ms <= cohort.from_ms) return cohort.from_ms >= from_ms && cohort.from_ms < to_ms ? 1 : 0;
  if (high <= low) return 0;
  return static_cast<double>(high - low) / static_cast<double>(cohort.to_ms - cohort.from_ms);
}

// Squared differences of neighbours over what Poisson births would give. A slow change of the rate adds next to
// nothing, bursts add much. Empty cohorts are not stored: a gap stands for zeros.
double Dispersion(const std::vector<snapshot::Cohort>& cohorts, int64_t from_ms, int64_t to_ms) {
  double squares = 0, births = 0, before = 0;
  int64_t until_ms = from_ms;
  for (const auto& cohort : cohorts) {
    if (cohort.from_ms < from_ms || cohort.to_ms > to_ms) continue;
    auto now = static_cast<double>(cohort.samples);
    bool gap = cohort.from_ms > until_ms;
    squares += gap ? before * before + now * now : births > 0 ? (now - before) * (now - before) : 0;
    births += now;
    before = now;
    until_ms = cohort.to_ms;
  }
  return births > 0 ? std::max(1.0, squares / (2 * births)) : 1;
}

}  // namespace

double Of(const snapshot::Cohort& cohort, Measure measure) {
  switch (measure) {
    case Measure::kBlocks: return cohort.live_count;
    case Measure::kBytes: return cohort.live_bytes;
    case Measure::kSamples: return static_cast<double>(cohort.samples);
  }
  return 0;
}

double BornIn(const std::vector<snapshot::Cohort>& cohorts, int64_t from_ms, int64_t to_ms, Measure measure) {
  double sum = 0;
  for (const auto& cohort : cohorts) {
    if (cohort.from_ms >= to_ms) break;
    double share = ShareInside(cohort, from_ms, to_ms);
    if (share > 0) sum += share * Of(cohort, measure);
  }
  return sum;
}

Spread FindSpread(const std::vector<snapshot::Cohort>& cohorts, int64_t from_ms, int64_t to_ms, const Clock& clock,
                  Measure measure) {
  Spread spread;
  double whole = BornIn(cohorts, from_ms, to_ms, measure);
  spread.samples = BornIn(cohorts, from_ms, to_ms, Measure::kSamples);
  if (whole <= 0) return spread;
  spread.dispersion = Dispersion(cohorts, from_ms, to_ms);
  for (ClockKind kind : kClocks) {
    double start = clock.At(kind, from_ms), span = clock.At(kind, to_ms) - start;
    if (span <= 0) continue;
    double seen = 0, deviation = 0;
    int bins = 0;
    auto look = [&](int64_t at_ms) {
      double expected = (clock.At(kind, at_ms) - start) / span;
      deviation = std::max(deviation, std::abs(seen / whole - expected));
      ++bins;
    };
    for (const auto& cohort : cohorts) {
      if (cohort.to_ms <= from_ms && cohort.from_ms < from_ms) continue;
      if (cohort.from_ms >= to_ms) break;
      if (cohort.from_ms > from_ms) look(cohort.from_ms);
      seen += ShareInside(cohort, from_ms, to_ms) * Of(cohort, measure);
      if (cohort.to_ms < to_ms) look(cohort.to_ms);
    }
    spread.deviation = std::min(spread.deviation, deviation);
    spread.bins = std::max(spread.bins, bins);
  }
  return spread;
}

DensityChange FindDensityChange(const std::vector<snapshot::Cohort>& cohorts, int64_t from_ms, int64_t to_ms,
                                const Clock& clock) {
  DensityChange best;
  double whole = BornIn(cohorts, from_ms, to_ms, Measure::kSamples), best_gain = 0;
  double start = clock.At(ClockKind::kActivity, from_ms), span = clock.At(ClockKind::kActivity, to_ms) - start;
  if (whole <= 0 || span <= 0) return best;
  auto log_likelihood = [](double n, double width) { return n > 0 ? n * std::log(n / width) : 0; };
  double flat = log_likelihood(whole, span);
  for (const auto& cohort : cohorts) {
    if (cohort.from_ms <= from_ms || cohort.from_ms >= to_ms) continue;
    double before = BornIn(cohorts, from_ms, cohort.from_ms, Measure::kSamples);
    double width = clock.At(ClockKind::kActivity, cohort.from_ms) - start;
    if (width <= 0 || width >= span) continue;
    double gain = log_likelihood(before, width) + log_likelihood(whole - before, span - width) - flat;
    if (gain <= best_gain) continue;
    best_gain = gain;
    best = {cohort.from_ms, before / width, (whole - before) / (span - width)};
  }
  return best;
}

}  // namespace leakhunt::verdict
