// The sentences under a verdict. Each says one test's figures in words; whether it speaks for a leak is a flag beside it.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "collector/verdict/classify.h"
#include "collector/verdict/phrase.h"

namespace leakhunt::verdict {

namespace {

std::string TrendClause(const History& history, const Analysis& a, double q) {
  bool handles = history.handles;
  if (a.reconstructed) {
    return fmt::format("{} snapshots are too few for a trend; from birth dates, {} more in {}, {}", a.points,
                       Amount(a.growth, handles), Duration(static_cast<double>(a.end_ms - a.blocks.from_ms)),
                       Probability(q));
  }
  if (a.points < 3) return fmt::format("{} snapshot{}: no trend yet", a.points, a.points == 1 ? "" : "s");
  const Trend& trend = a.old_leads ? a.old : a.live;
  std::string what = a.old_leads ? "the blocks that are old" : handles ? "open handles" : "live bytes";
  std::string rate = fmt::format("{} [{}, {}]", PerTime(a.rate_per_s.value, handles), PerTime(a.rate_per_s.low, handles),
                                 PerTime(a.rate_per_s.high, handles));
  if (q > 0.05) return fmt::format("no trend in {} over {} points ({}); {}", what, a.points, Probability(q), rate);
  return fmt::format("{} {} in {} of pairs of {} points (Mann–Kendall, {}), {}; of late at {:.0f} % of that rate", what,
                     trend.rising_share >= 0.5 ? "rise" : "fall", Percent(std::max(trend.rising_share, 0.0)), a.points,
                     Probability(q), rate, 100 * std::clamp(a.recent_ratio, 0.0, 9.99));
}

std::string CohortClause(const History& history, const Analysis& a) {
  const OldBlocks& b = a.blocks;
  const char* noun = history.handles ? "handles" : "blocks";
  std::string age = Duration(static_cast<double>(b.age_ms));
  if (b.spread.samples < 1) return fmt::format("no {} older than {} are live", noun, age);
  std::string who = fmt::format("{} {}{} older than {} are live", Count(b.spread.samples),
                                history.exact || history.handles ? "" : "sampled ", noun, age);
  std::string span = Duration(static_cast<double>(a.end_ms - b.age_ms - b.from_ms));
  if (!b.flat) {
    return fmt::format("{}, not evenly spread over the {} they were born in (largest gap {})", who, span,
                       Percent(b.spread.deviation));
  }
  return fmt::format("{}, evenly spread over the {} they were born in (largest gap {})", who, span,
                     Percent(b.spread.deviation));
}

std::string HazardClause(const History& history, const Analysis& a) {
  const OldBlocks& b = a.blocks;
  const char* noun = history.handles ? "handles" : "blocks";
  std::string age = Duration(static_cast<double>(b.age_ms));
  if (!b.hazard.known) return fmt::format("no {} older than {} were watched", noun, age);
  double stay = std::exp(-b.hazard.expected);
  return fmt::format("of {} {} older than {}, {} died in {}: {} are expected to outlast another {}", Count(b.hazard.at_risk),
                     noun, age, Count(b.hazard.deaths), Duration(b.hazard.span_ms), Percent(stay),
                     Duration(static_cast<double>(a.end_ms - b.from_ms)));
}

}  // namespace

Evidence Explain(const History& history, const Analysis& a, double q, const Thresholds& t) {
  Evidence evidence;
  double least = history.handles ? t.min_growth_handles : t.min_growth_bytes;
  evidence.trend_agrees = q <= t.false_discovery_rate && a.growth >= least && a.recent_ratio >= t.recent_ratio &&
                          a.growth_share >= t.growth_ratio;
  evidence.cohorts_agree = a.blocks.flat;
  evidence.hazard_agrees = a.blocks.stay;
  if (a.points == 0) {
    evidence.trend = "no snapshots";
    return evidence;
  }
  evidence.trend = TrendClause(history, a, q);
  evidence.cohorts = CohortClause(history, a);
  evidence.hazard = HazardClause(history, a);
  return evidence;
}

}  // namespace leakhunt::verdict
