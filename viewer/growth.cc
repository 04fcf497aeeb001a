#include "viewer/growth.h"

#include <algorithm>

namespace leakhunt::viewer {
namespace {

using snapshot::Snapshot;

constexpr double kMomentS = 0.5;

struct Series {
  std::vector<double> times;  // seconds since the first snapshot
  std::unordered_map<SiteKey, std::vector<double>> values;
};

Series Collect(const std::vector<Snapshot>& history) {
  Series series;
  for (size_t i = 0; i < history.size(); ++i) {
    const Snapshot& s = history[i];
    series.times.push_back(static_cast<double>(s.time_ms - history.front().time_ms) / 1000);
    auto add = [&](SiteKey key, double value) {
      auto& values = series.values[key];
      values.resize(history.size(), 0);
      values[i] += value;
    };
    for (const auto& site : s.sites) add(KeyOf(s, site), site.live_bytes.value);
    for (const auto& site : s.handle_sites) add(KeyOf(s, site), static_cast<double>(site.open));
  }
  return series;
}

// Bytes of the cohorts born at or after `from_ms`; a cohort across the edge counts by its share.
double BornSince(const std::vector<snapshot::Cohort>& cohorts, int64_t from_ms) {
  double sum = 0;
  for (const auto& c : cohorts) {
    double length = static_cast<double>(c.to_ms - c.from_ms);
    double inside = static_cast<double>(c.to_ms - std::max(from_ms, c.from_ms));
    if (inside > 0) sum += c.live_bytes * (length > 0 ? std::min(1.0, inside / length) : 1.0);
  }
  return sum;
}

GrowthRates FromOneSnapshot(const Snapshot& s) {
  GrowthRates rates;
  double age_s = static_cast<double>(s.time_ms - s.process.started_ms) / 1000;
  if (age_s <= 0) return rates;
  int64_t middle_ms = s.process.started_ms + (s.time_ms - s.process.started_ms) / 2;
  std::unordered_map<SiteKey, std::pair<double, double>> sums;  // live, live and young
  for (const auto& site : s.sites) {
    auto& sum = sums[KeyOf(s, site)];
    sum.first += site.live_bytes.value;
    sum.second += BornSince(site.cohorts, middle_ms);
  }
  for (const auto& site : s.handle_sites) {
    auto& sum = sums[KeyOf(s, site)];
    sum.first += static_cast<double>(site.open);
    auto young = site.births_ms.end() - std::lower_bound(site.births_ms.begin(), site.births_ms.end(), middle_ms);
    double share = site.births_ms.empty() ? 0 : static_cast<double>(young) / static_cast<double>(site.births_ms.size());
    sum.second += share * static_cast<double>(site.open);
  }
  for (const auto& [key, sum] : sums) rates[key] = std::min(sum.first / age_s, sum.second / (age_s / 2));
  return rates;
}

}  // namespace

std::optional<double> TheilSenSlope(const std::vector<double>& times, const std::vector<double>& values) {
  std::vector<double> slopes;
  for (size_t i = 0; i < times.size(); ++i) {
    for (size_t j = i + 1; j < times.size(); ++j) {
      if (times[j] > times[i]) slopes.push_back((values[j] - values[i]) / (times[j] - times[i]));
    }
  }
  if (slopes.empty()) return std::nullopt;
  auto middle = slopes.begin() + static_cast<std::ptrdiff_t>(slopes.size() / 2);
  std::nth_element(slopes.begin(), middle, slopes.end());
  if (slopes.size() % 2 == 1) return *middle;
  return (*middle + *std::max_element(slopes.begin(), middle)) / 2;
}

GrowthRates MeasureGrowth(const std::vector<Snapshot>& history) {
  if (history.empty()) return {};
  Series series = Collect(history);
  if (history.size() == 1 || (history.size() == 2 && series.times.back() < kMomentS)) {
    return FromOneSnapshot(history.back());
  }
  GrowthRates rates;
  for (const auto& [key, values] : series.values) {
    if (auto slope = TheilSenSlope(series.times, values)) rates[key] = *slope;
  }
  return rates;
}

}  // namespace leakhunt::viewer
