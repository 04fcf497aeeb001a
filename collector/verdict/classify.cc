#include "collector/verdict/classify.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "collector/verdict/phrase.h"

namespace leakhunt::verdict {

namespace {

class Judgement {
 public:
  Judgement(const History& history, const Analysis& analysis, double q, const Thresholds& thresholds)
      : history_(history), a_(analysis), q_(q), t_(thresholds) {}

  SiteVerdict Run() {
    out_.evidence = Explain(history_, a_, q_, t_);
    out_.rate_per_s = {a_.rate_per_s.value, a_.rate_per_s.low, a_.rate_per_s.high};
    if (a_.points == 0) return Say(Verdict::kInconclusive, 0, "needs snapshots");
    const Evidence& e = out_.evidence;
    bool long_enough = a_.end_ms - a_.start_ms >= t_.min_span_ms;
    if (e.trend_agrees && e.cohorts_agree && e.hazard_agrees && long_enough && EnoughPoints()) return Leak();
    if (!long_enough || (!EnoughPoints() && !a_.reconstructed)) return TooShort();
    if (Grows()) return Growing();
    return Still();
  }

 private:
  SiteVerdict Say(Verdict verdict, double confidence, std::string needs = "") {
    out_.verdict = verdict;
    out_.confidence = std::clamp(confidence, 0.0, 0.99);
    out_.needs = std::move(needs);
    return out_;
  }

  bool EnoughPoints() const { return a_.reconstructed || static_cast<int64_t>(a_.points) >= t_.min_points; }
  bool Grows() const {
    double least = history_.handles ? t_.min_growth_handles : t_.min_growth_bytes;
    return q_ <= t_.false_discovery_rate && a_.growth >= least;
  }

  // How far a figure is inside its limit: 1 = far, 0.5 = on it.
  static double Margin(double figure, double limit) { return 1 / (1 + 0.5 * std::pow(figure / limit, 2)); }

  SiteVerdict Leak() {
    double confidence = (1 - q_) * Margin(a_.blocks.hazard.expected_high, t_.hazard_high * 2) *
                        Margin(a_.blocks.spread.deviation, (t_.flat_deviation + t_.flat_noise) / 1.5);
    if (a_.growth_begins > 0.12) out_.onset_ms = a_.blocks.from_ms;
    bool onset = a_.growth_begins >= t_.onset_activity;
    return Say(onset ? Verdict::kOnset : Verdict::kLeaking, confidence);
  }

  SiteVerdict TooShort() {
    double span_ms = static_cast<double>(a_.end_ms - a_.start_ms);
    double interval_ms = a_.points > 1 ? span_ms / static_cast<double>(a_.points) : 0;
    auto missing = static_cast<double>(t_.min_points) - static_cast<double>(a_.points);
    double wait_ms = std::max(static_cast<double>(t_.min_span_ms) - span_ms, missing * interval_ms);
    std::string needs = missing > 0 ? fmt::format("needs {:.0f} more snapshot{}", missing, missing == 1 ? "" : "s") : "needs";
    if (wait_ms > 0) needs += fmt::format("{} about {} more", missing > 0 ? "," : "", Duration(wait_ms));
    bool grows = a_.growth > 0 && a_.live.rising_share > 0.5;
    return Say(grows ? Verdict::kGrowingUnproven : Verdict::kInconclusive, 0.3, needs);
  }

  bool OldOnesDie() const { return a_.blocks.hazard.known && a_.blocks.hazard.expected > 0.7; }

  SiteVerdict Growing() {
    // A handful of sampled blocks says that a site grows, and nothing of how: they come in whole intervals.
    if (a_.samples < t_.min_survivors) return Say(Verdict::kGrowingUnproven, 0.3, WhatWouldDecide());
    if (a_.recent_ratio_high < t_.recent_ratio || a_.recent_ratio < t_.recent_ratio / 2) {
      if (a_.startup_share >= t_.startup_live_share) return Say(Verdict::kStartup, 0.8);
      return Say(Verdict::kDecelerating, 1 - a_.recent_ratio);
    }
    if (OldOnesDie()) return Say(Verdict::kAgingOut, Margin(0.7, a_.blocks.hazard.expected));
    return Say(Verdict::kGrowingUnproven, 0.5, WhatWouldDecide());
  }

  // The live figure itself is a guess from a handful of sampled blocks: when they came says when chance picked one. Large
  // blocks are certain however few they are.
  bool Guessed() const {
    constexpr double kUncertain = 0.25;  // standard deviation over the figure
    if (history_.points.empty()) return false;
    const HistoryPoint& last = history_.points.back();
    return last.variance > kUncertain * kUncertain * last.live * last.live;
  }

  // Births spread over the run would all have been in its first part by less than this chance.
  bool CertainlyAtTheStart() const {
    constexpr double kChance = 0.01;
    return a_.startup_share > 0.99 && std::pow(t_.startup_births, a_.samples) < kChance;
  }

  SiteVerdict Still() {
    bool few = a_.samples < t_.min_survivors && a_.turnover * a_.samples < t_.min_survivors;
    if (few && (Rising() || Guessed()) && !CertainlyAtTheStart()) {
      return Say(Verdict::kInconclusive, 0.3, WhatWouldDecide());
    }
    if (a_.startup_share >= t_.startup_live_share) return Say(Verdict::kStartup, a_.startup_share);
    return Say(Verdict::kBounded, 1 - 0.5 * (a_.live.p < 0.25 ? 1 - a_.live.p : 0));
  }

  bool Rising() const { return a_.live.rising_share > 0.5 && a_.growth > 0; }

  // The test that failed says what it lacks, and how long that takes at the present rate.
  std::string WhatWouldDecide() const {
    double span_ms = static_cast<double>(a_.end_ms - a_.blocks.from_ms);
    const Evidence& e = out_.evidence;
    double missing = t_.min_survivors - a_.blocks.spread.samples;
    if (missing > 0) {
      double wait_ms = span_ms * missing / std::max(1.0, a_.blocks.spread.samples);
      return fmt::format("needs about {} more at this rate ({} old {}, {} needed)", Duration(wait_ms),
                         Count(a_.blocks.spread.samples), history_.handles ? "handles" : "blocks",
                         Count(t_.min_survivors));
    }
    if (!e.hazard_agrees) {
      return fmt::format("needs about {} more, to see whether its old {} go on dying", Duration(span_ms),
                         history_.handles ? "handles" : "blocks");
    }
    if (!e.cohorts_agree) return fmt::format("needs about {} more, to see whether its growth is steady", Duration(span_ms));
    return fmt::format("needs about {} more, for the trend to stand out", Duration(span_ms / 2));
  }

  const History& history_;
  const Analysis& a_;
  double q_;
  const Thresholds& t_;
  SiteVerdict out_;
};

}  // namespace

SiteVerdict Classify(const History& history, const Analysis& analysis, double q, const Thresholds& thresholds) {
  return Judgement(history, analysis, q, thresholds).Run();
}

}  // namespace leakhunt::verdict
