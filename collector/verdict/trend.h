// Is a series growing, and how fast: Mann–Kendall with the Hamed & Rao (1998) correction for autocorrelation, and the
// Theil–Sen slope with limits from the same variance. Robust to outliers, steps and gaps; no distribution assumed.
#pragma once

#include <cstddef>
#include <vector>

namespace leakhunt::verdict {

struct Series {
  std::vector<double> x;  // strictly increasing
  std::vector<double> y;
  size_t size() const { return x.size(); }
};

struct Slope {
  double value = 0, low = 0, high = 0;  // y per x; 95 % limits
};

struct Trend {
  double p = 1;            // one-sided, of "not growing"
  double correction = 1;   // variance inflation from autocorrelation, >= 1
  double rising_share = 0; // of all pairs, the share that rises: 0.5 = no trend
  Slope slope;
};

inline constexpr size_t kMostTrendPoints = 48;

// Indices of at most `most` of `size` points, first and last among them, evenly spaced in time. `time(i)` rises; only
// a few points are looked at, so that long histories cost no more than short ones.
template <typename Time>
std::vector<size_t> Thin(size_t size, Time time, size_t most = kMostTrendPoints) {
  std::vector<size_t> kept;
  if (size == 0) return kept;
  kept.reserve(most);
  double first = time(0), step = (time(size - 1) - first) / static_cast<double>(most - 1);
  size_t next = 0;
  for (size_t k = 0; k + 1 < most && next + 1 < size; ++k) {
    if (size <= most) {
      kept.push_back(next++);
      continue;
    }
    size_t low = next, high = size - 1;
    while (low < high) {
      size_t middle = (low + high) / 2;
      if (time(middle) < first + step * static_cast<double>(k)) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    if (low + 1 >= size) break;
    kept.push_back(low);
    next = low + 1;
  }
  kept.push_back(size - 1);
  return kept;
}

// Cost grows with the square of the points: thin first. Fewer than 3 points: p = 1, slope 0.
Trend FindTrend(const Series& series);

// The slope alone, without limits.
double MedianSlope(const Series& series);

// The part of a series with x >= from.
Series From(const Series& series, double from);

}  // namespace leakhunt::verdict
