#include "collector/verdict/analysis.h"

#include <algorithm>
#include <cmath>

namespace leakhunt::verdict {

namespace {

constexpr double kAges[] = {1.0 / 16, 1.0 / 8, 1.0 / 4};  // of the span under test, that makes a block "old"
constexpr double kWallStarts[] = {0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8};
constexpr double kActivityStarts[] = {0.05, 0.15, 0.3, 0.5, 0.7};
constexpr double kMaybeGrowing = 0.25;  // a p value above which the births are not searched

class Analyzer {
 public:
  Analyzer(const History& history, const Thresholds& thresholds)
      : history_(history),
        thresholds_(thresholds),
        start_ms_(StartOf(history)),
        end_ms_(history.points.back().time_ms),
        clock_(history, start_ms_, end_ms_),
        measure_(history.exact || history.handles ? Measure::kBlocks : Measure::kBytes),
        live_measure_(history.handles ? Measure::kBlocks : Measure::kBytes) {}

  Analysis Run() {
    result_.start_ms = start_ms_;
    result_.end_ms = end_ms_;
    result_.points = history_.points.size();
    startup_end_ms_ = clock_.When(ClockKind::kWall, thresholds_.startup_share);
    MeasureLiving();
    live_ = LiveSeries();
    result_.live = FindTrend(live_);
    old_ = OldSeries((end_ms_ - startup_end_ms_) / 8);
    result_.old = FindTrend(old_);
    FindOldBlocks();
    JudgeGrowth();
    result_.growth_begins = clock_.At(ClockKind::kActivity, result_.blocks.from_ms);
    FindRate();
    return result_;
  }

 private:
  static int64_t StartOf(const History& history) {
    int64_t first = history.points.front().time_ms;
    if (!history.cohorts.empty() && history.cohorts.front().from_ms > 0) {
      first = std::min(first, history.cohorts.front().from_ms);
    }
    return history.process_started_ms > 0 ? std::min(history.process_started_ms, history.points.front().time_ms) : first;
  }

  double Since(int64_t time_ms) const { return static_cast<double>(time_ms - start_ms_); }

  Series LiveSeries() const {
    Series series;
    const auto& points = history_.points;
    for (size_t i : Thin(points.size(), [&](size_t k) { return Since(points[k].time_ms); })) {
      double x = Since(points[i].time_ms);
      if (!series.x.empty() && x <= series.x.back()) continue;
      series.x.push_back(x);
      series.y.push_back(points[i].live);
    }
    Series late = From(series, Since(startup_end_ms_));
    return late.size() >= 3 ? late : series;
  }

  // The population older than `age_ms` at each moment whose cohorts are known.
  Series OldSeries(int64_t age_ms) const {
    Series series;
    auto add = [&](int64_t time_ms, const std::vector<snapshot::Cohort>& cohorts) {
      double x = Since(time_ms);
      if (time_ms - age_ms <= startup_end_ms_ || (!series.x.empty() && x <= series.x.back())) return;
      series.x.push_back(x);
      series.y.push_back(BornIn(cohorts, startup_end_ms_, time_ms - age_ms, live_measure_));
    };
    for (const CohortSet& set : history_.earlier) add(set.time_ms, set.cohorts);
    add(end_ms_, history_.cohorts);
    return series;
  }

  void MeasureLiving() {
    double whole = 0, early_wall = 0, early_activity = 0;
    int64_t wall = clock_.When(ClockKind::kWall, thresholds_.startup_births);
    int64_t activity = clock_.When(ClockKind::kActivity, thresholds_.startup_births);
    whole = BornIn(history_.cohorts, 0, end_ms_ + 1, live_measure_);
    early_wall = BornIn(history_.cohorts, 0, wall, live_measure_);
    early_activity = BornIn(history_.cohorts, 0, activity, live_measure_);
    result_.samples = BornIn(history_.cohorts, 0, end_ms_ + 1, Measure::kSamples);
    if (whole > 0) result_.startup_share = std::max(early_wall, early_activity) / whole;
    result_.turnover = history_.points.back().freed_samples / std::max(1.0, result_.samples);
  }

  OldBlocks Measured(int64_t from_ms, int64_t age_ms) const {
    OldBlocks blocks;
    blocks.from_ms = from_ms;
    blocks.age_ms = age_ms;
    blocks.spread = FindSpread(history_.cohorts, from_ms, end_ms_ - age_ms, clock_, measure_);
    double independent = std::max(thresholds_.min_survivors, blocks.spread.samples / blocks.spread.dispersion);
    double limit = thresholds_.flat_deviation + thresholds_.flat_noise / std::sqrt(independent);
    double least = Slowing(from_ms, age_ms) ? thresholds_.min_slowing_survivors : thresholds_.min_survivors;
    blocks.flat = blocks.spread.samples >= least && blocks.spread.bins >= 4 && blocks.spread.deviation <= limit;
    return blocks;
  }

  // More survivors a unit of time before the births under test than in them: the tail of something that fills up looks
  // even when it is short of blocks.
  bool Slowing(int64_t from_ms, int64_t age_ms) const {
    double least = 1e300;
    for (ClockKind kind : {ClockKind::kWall, ClockKind::kActivity}) {
      double begin = clock_.At(kind, from_ms), before = begin - clock_.At(kind, startup_end_ms_);
      double tested = clock_.At(kind, end_ms_ - age_ms) - begin;
      if (begin <= thresholds_.slowing_begins || before <= 0 || tested <= 0) return false;
      double dense = BornIn(history_.cohorts, startup_end_ms_, from_ms, Measure::kSamples) / before;
      double thin = BornIn(history_.cohorts, from_ms, end_ms_ - age_ms, Measure::kSamples) / tested;
      least = std::min(least, dense / std::max(thin, 1e-9));
    }
    return least > thresholds_.slowing_ratio;
  }

  // Deaths among all old blocks since start-up, and among those born in the span under test: the worse of the two. The
  // first sees a cache whose earlier contents have gone, the second is not diluted by a start-up table.
  void AddHazard(OldBlocks& blocks) const {
    int64_t horizon_ms = end_ms_ - blocks.from_ms;
    blocks.hazard = FindLateHazard(history_, startup_end_ms_, blocks.age_ms, horizon_ms);
    if (blocks.from_ms > startup_end_ms_) {
      LateHazard later = FindLateHazard(history_, blocks.from_ms, blocks.age_ms, horizon_ms);
      if (later.known && later.expected > blocks.hazard.expected) blocks.hazard = later;
    }
    blocks.stay = blocks.hazard.known && blocks.hazard.expected <= thresholds_.hazard &&
                  blocks.hazard.expected_high <= thresholds_.hazard_high;
  }

  std::vector<int64_t> Starts() const {
    std::vector<int64_t> starts{startup_end_ms_};
    for (double fraction : kWallStarts) starts.push_back(clock_.When(ClockKind::kWall, fraction));
    for (double fraction : kActivityStarts) starts.push_back(clock_.When(ClockKind::kActivity, fraction));
    std::sort(starts.begin(), starts.end());
    std::erase_if(starts, [&](int64_t t) { return t < startup_end_ms_ || t >= end_ms_; });
    starts.erase(std::unique(starts.begin(), starts.end()), starts.end());
    return starts;
  }

  bool LongEnough(int64_t from_ms, int64_t age_ms) const {
    double best = 0;
    for (ClockKind kind : {ClockKind::kWall, ClockKind::kActivity}) {
      best = std::max(best, clock_.At(kind, end_ms_ - age_ms) - clock_.At(kind, from_ms));
    }
    return best >= thresholds_.min_old_share * 0.75;
  }

  void FindOldBlocks() {
    result_.blocks = Measured(startup_end_ms_, (end_ms_ - startup_end_ms_) / 4);
    bool maybe = result_.live.p < kMaybeGrowing || result_.old.p < kMaybeGrowing || live_.size() < 3;
    if (maybe && SearchOldBlocks()) return;
    AddHazard(result_.blocks);
  }

  bool SearchOldBlocks() {
    for (int64_t from_ms : Starts()) {
      for (double share : kAges) {
        auto age_ms = static_cast<int64_t>(share * static_cast<double>(end_ms_ - from_ms));
        if (!LongEnough(from_ms, age_ms)) continue;
        OldBlocks blocks = Measured(from_ms, age_ms);
        if (!blocks.flat) continue;
        AddHazard(blocks);
        if (!blocks.stay) continue;
        result_.blocks = blocks;
        return true;
      }
    }
    return false;
  }

  struct Growth {
    double amount = 0, share = 0, recent = 0, recent_high = 0;
    Trend trend;
  };

  // How the series grew from the moment under test on, against what the old survivors explain.
  Growth Grown(const Series& series, double from, double whole_span) const {
    Growth growth;
    Series tested = From(series, from);
    if (tested.size() < 3) return growth;
    growth.trend = FindTrend(tested);
    growth.amount = growth.trend.slope.value * whole_span;
    if (growth.trend.p > kMaybeGrowing) return growth;
    double span = static_cast<double>(end_ms_ - result_.blocks.from_ms);
    double old_span = span - static_cast<double>(result_.blocks.age_ms);
    double weight = result_.blocks.weight;
    if (weight > 0 && old_span > 0) growth.share = growth.amount / (weight * whole_span / old_span);
    for (ClockKind kind : {ClockKind::kWall, ClockKind::kActivity}) {
      Series on_clock;
      for (size_t i = 0; i < tested.size(); ++i) {
        double x = clock_.At(kind, start_ms_ + static_cast<int64_t>(tested.x[i]));
        if (!on_clock.x.empty() && x <= on_clock.x.back()) continue;
        on_clock.x.push_back(x);
        on_clock.y.push_back(tested.y[i]);
      }
      if (on_clock.size() < 4) continue;
      double whole = kind == ClockKind::kWall ? growth.trend.slope.value * static_cast<double>(end_ms_ - start_ms_)
                                              : MedianSlope(on_clock);
      if (whole <= 0) continue;
      double begin = on_clock.x.back() - thresholds_.recent_share * (on_clock.x.back() - on_clock.x.front());
      Series last = From(on_clock, begin);
      if (last.size() < 3) last = {{on_clock.x.end() - 3, on_clock.x.end()}, {on_clock.y.end() - 3, on_clock.y.end()}};
      Trend recent = FindTrend(last);
      if (recent.slope.value / whole <= growth.recent) continue;
      growth.recent = recent.slope.value / whole;
      growth.recent_high = recent.slope.high / whole;
    }
    return growth;
  }

  bool Steady(const Growth& growth) const {
    return growth.trend.p < 0.01 && growth.recent >= thresholds_.recent_ratio && growth.share >= thresholds_.growth_ratio;
  }

  void JudgeGrowth() {
    OldBlocks& blocks = result_.blocks;
    blocks.weight = BornIn(history_.cohorts, blocks.from_ms, end_ms_ - blocks.age_ms, live_measure_);
    double from = Since(blocks.from_ms), span = Since(end_ms_) - from;
    Growth growth = Grown(live_, from, span);
    result_.p = std::min({1.0, 2 * result_.live.p, 2 * growth.trend.p});
    if (!Steady(growth) && blocks.flat && old_.size() >= 5) {
      int64_t age_ms = blocks.age_ms;
      Series old = OldSeries(age_ms);
      double old_from = from + static_cast<double>(age_ms);
      Growth of_old = Grown(old, std::min(old_from, old.x.size() >= 3 ? old.x[old.x.size() - 3] : old_from),
                               Since(end_ms_) - old_from);
      if (Steady(of_old)) {
        growth = of_old;
        result_.old_leads = true;
        result_.old = of_old.trend;
        result_.p = std::min(1.0, 2 * of_old.trend.p);
      }
    }
    if (!result_.old_leads && result_.blocks.flat && growth.trend.p < result_.live.p) result_.live = growth.trend;
    result_.growth = growth.amount;
    result_.growth_share = growth.share;
    result_.recent_ratio = growth.recent;
    result_.recent_ratio_high = growth.recent_high;
    if (static_cast<int64_t>(history_.points.size()) < thresholds_.min_points) Reconstruct();
  }

  // Too few snapshots for a trend, but the births of the living and the ages of the dead tell what was live before:
  // when nothing old has died, the old population can only have grown.
  void Reconstruct() {
    const OldBlocks& blocks = result_.blocks;
    if (!blocks.flat || !blocks.stay || blocks.hazard.expected_high > thresholds_.hazard) return;
    if (static_cast<int64_t>(history_.points.size()) < thresholds_.min_reconstructed) return;
    if (end_ms_ - start_ms_ < thresholds_.min_reconstructed_ms) return;
    double inflow = blocks.spread.samples;
    result_.reconstructed = true;
    result_.p = PoissonAtMost(blocks.hazard.expected_high * inflow / 2, inflow);
    result_.growth = blocks.weight;
    result_.growth_share = result_.recent_ratio = result_.recent_ratio_high = 1;
  }

  void FindRate() {
    const OldBlocks& blocks = result_.blocks;
    const auto& points = history_.points;
    Slope slope = result_.old_leads ? result_.old.slope : result_.live.slope;
    if (result_.reconstructed) {
      double span = static_cast<double>(end_ms_ - blocks.age_ms - blocks.from_ms);
      double rate = span > 0 ? blocks.weight / span : 0;
      double relative = 1.96 / std::sqrt(std::max(1.0, blocks.spread.samples));
      slope = {rate, rate * std::max(0.0, 1 - relative), rate * (1 + relative)};
    }
    double sampling = 0;
    if (points.size() >= 2 && !result_.reconstructed) {
      double span = std::max(1.0, Since(end_ms_) - (live_.x.empty() ? 0 : live_.x.front()));
      sampling = 1.96 * std::sqrt(points.front().variance + points.back().variance) / span;
    }
    double down = std::hypot(slope.value - slope.low, sampling), up = std::hypot(slope.high - slope.value, sampling);
    result_.rate_per_s = {slope.value * 1000, (slope.value - down) * 1000, (slope.value + up) * 1000};
  }

  const History& history_;
  const Thresholds& thresholds_;
  int64_t start_ms_, end_ms_, startup_end_ms_ = 0;
  Clock clock_;
  Measure measure_, live_measure_;
  Series live_, old_;
  Analysis result_;
};

}  // namespace

Analysis Analyze(const History& history, const Thresholds& thresholds) {
  if (history.points.empty()) return {};
  return Analyzer(history, thresholds).Run();
}

}  // namespace leakhunt::verdict
