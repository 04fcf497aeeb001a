#include "collector/verdict/trend.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

namespace leakhunt::verdict {

namespace {

constexpr size_t kExactPoints = 10;  // up to here Kendall's S has few enough values to be counted
constexpr double kZ95 = 1.959964;

int Sign(double d) { return (d > 0) - (d < 0); }

// Kendall's S, and how many pairs rise or stay equal.
struct Pairs {
  double s = 0;
  double rising = 0;
  double all = 0;
};

Pairs CountPairs(const std::vector<double>& y) {
  int rising = 0, falling = 0;
  for (size_t i = 0; i + 1 < y.size(); ++i) {
    for (size_t j = i + 1; j < y.size(); ++j) {
      rising += y[j] > y[i];
      falling += y[j] < y[i];
    }
  }
  double all = static_cast<double>(y.size()) * static_cast<double>(y.size() - 1) / 2;
  return {static_cast<double>(rising - falling), all > 0 ? rising / all : 0, all};
}

// Variance of S without a trend, ties taken out.
double VarianceOfS(std::vector<double> y) {
  double n = static_cast<double>(y.size());
  double variance = n * (n - 1) * (2 * n + 5);
  std::sort(y.begin(), y.end());
  for (size_t i = 0; i < y.size();) {
    size_t j = i;
    while (j < y.size() && y[j] == y[i]) ++j;
    double ties = static_cast<double>(j - i);
    variance -= ties * (ties - 1) * (2 * ties + 5);
    i = j;
  }
  return variance / 18;
}

std::vector<double> Ranks(const std::vector<double>& y) {
  std::vector<size_t> order(y.size());
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return y[a] < y[b]; });
  std::vector<double> ranks(y.size());
  for (size_t i = 0; i < order.size();) {
    size_t j = i;
    while (j < order.size() && y[order[j]] == y[order[i]]) ++j;
    for (size_t k = i; k < j; ++k) ranks[order[k]] = static_cast<double>(i + j - 1) / 2;
    i = j;
  }
  return ranks;
}

// Hamed & Rao: how much the autocorrelation of the ranks of the detrended series inflates the variance of S. Only
// significant lags count, and only inflation is believed: an alternating series must not look more certain.
double AutocorrelationCorrection(const Series& series, double slope) {
  size_t n = series.size();
  if (n < 8) return 1;
  std::vector<double> residuals(n);
  double scale = 0;
  for (size_t i = 0; i < n; ++i) {
    residuals[i] = series.y[i] - slope * series.x[i];
    scale = std::max(scale, std::abs(series.y[i]));
  }
  auto [low, high] = std::minmax_element(residuals.begin(), residuals.end());
  if (*high - *low <= 1e-9 * scale) return 1;  // a straight line: what is left is rounding
  std::vector<double> ranks = Ranks(residuals);
  double mean = static_cast<double>(n - 1) / 2, square = 0;
  for (double& rank : ranks) {
    rank -= mean;
    square += rank * rank;
  }
  if (square <= 0) return 1;
  double limit = kZ95 / std::sqrt(static_cast<double>(n)), sum = 0;
  for (size_t lag = 1; lag <= n / 3; ++lag) {
    double product = 0;
    for (size_t i = 0; i + lag < n; ++i) product += ranks[i] * ranks[i + lag];
    double r = product / square;
    if (std::abs(r) <= limit) continue;
    double rest = static_cast<double>(n - lag);
    sum += rest * (rest - 1) * (rest - 2) * r;
  }
  double whole = static_cast<double>(n);
  return std::max(1.0, 1 + 2 * sum / (whole * (whole - 1) * (whole - 2)));
}

// Probability of Kendall's S >= s for n unequal values in random order, by counting permutations by inversions.
double ExactTail(size_t n, double s) {
  std::vector<double> count{1};
  for (size_t k = 2; k <= n; ++k) {
    std::vector<double> next(count.size() + k - 1, 0);
    for (size_t i = 0; i < count.size(); ++i) {
      for (size_t j = 0; j < k; ++j) next[i + j] += count[i] / static_cast<double>(k);
    }
    count = std::move(next);
  }
  double pairs = static_cast<double>(n * (n - 1)) / 2, tail = 0;
  for (size_t inversions = 0; inversions < count.size(); ++inversions) {
    if (pairs - 2 * static_cast<double>(inversions) >= s - 0.5) tail += count[inversions];
  }
  return tail;
}

std::vector<double> AllSlopes(const Series& series) {
  std::vector<double> slopes;
  slopes.reserve(series.size() * series.size() / 2);
  for (size_t i = 0; i + 1 < series.size(); ++i) {
    for (size_t j = i + 1; j < series.size(); ++j) {
      slopes.push_back((series.y[j] - series.y[i]) / (series.x[j] - series.x[i]));
    }
  }
  return slopes;
}

using Values = std::vector<double>::iterator;

// The value at `position` when [from, to) is sorted; what is before it is not larger afterwards, what is behind not less.
Values Nth(Values from, Values to, Values at) {
  at = std::clamp(at, from, to - 1);
  std::nth_element(from, at, to);
  return at;
}

}  // namespace

Trend FindTrend(const Series& series) {
  Trend trend;
  size_t n = series.size();
  if (n < 3) return trend;
  Pairs pairs = CountPairs(series.y);
  double variance = VarianceOfS(series.y);
  trend.rising_share = pairs.rising;
  if (variance <= 0) return trend;  // constant: slope 0, exactly
  std::vector<double> slopes = AllSlopes(series);
  auto middle = Nth(slopes.begin(), slopes.end(), slopes.begin() + static_cast<long>((slopes.size() - 1) / 2));
  trend.slope.value = *middle;
  trend.correction = AutocorrelationCorrection(series, trend.slope.value);
  double sigma = std::sqrt(variance * trend.correction);
  auto reach = std::min(static_cast<long>(kZ95 * sigma / 2), middle - slopes.begin());
  trend.slope.low = *Nth(slopes.begin(), middle + 1, middle - reach);
  trend.slope.high = *Nth(middle, slopes.end(), middle + std::min(reach, slopes.end() - middle - 1));
  double z = (pairs.s - Sign(pairs.s)) / sigma;
  trend.p = 0.5 * std::erfc(z / std::sqrt(2.0));
  bool no_ties = std::abs(variance - static_cast<double>(n * (n - 1) * (2 * n + 5)) / 18) < 0.5;
  if (n <= kExactPoints && no_ties && trend.correction == 1) trend.p = ExactTail(n, pairs.s);
  return trend;
}

double MedianSlope(const Series& series) {
  if (series.size() < 2) return 0;
  std::vector<double> slopes = AllSlopes(series);
  return *Nth(slopes.begin(), slopes.end(), slopes.begin() + static_cast<long>((slopes.size() - 1) / 2));
}

Series From(const Series& series, double from) {
  auto it = std::lower_bound(series.x.begin(), series.x.end(), from);
  auto skip = it - series.x.begin();
  return {{it, series.x.end()}, {series.y.begin() + skip, series.y.end()}};
}

}  // namespace leakhunt::verdict
