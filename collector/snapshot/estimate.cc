#include "collector/snapshot/estimate.h"

#include <algorithm>
#include <boost/math/special_functions/gamma.hpp>
#include <cmath>

namespace leakhunt::snapshot {
namespace {

namespace policies = boost::math::policies;
using Quiet = policies::policy<policies::domain_error<policies::errno_on_error>, policies::pole_error<policies::errno_on_error>,
                               policies::overflow_error<policies::errno_on_error>,
                               policies::evaluation_error<policies::errno_on_error>,
                               policies::promote_double<false>>;

constexpr double kNormalQuantile = 1.959963984540054;

// Quantile of the gamma distribution with this mean and variance. `tail`: 0.025 (lower) or 0.975.
// From a shape of 10^5 on the normal limit differs by less than 10^-4 of the spread, and the iteration is slow.
double GammaQuantile(double tail, double mean, double variance) {
  double shape = mean * mean / variance;
  if (shape > 1e5) return mean + (tail < 0.5 ? -1 : 1) * kNormalQuantile * std::sqrt(variance);
  return boost::math::gamma_p_inv(shape, tail, Quiet()) * variance / mean;
}

}  // namespace

Estimate Limits(const Weighted& sum) {
  Estimate estimate{sum.value, sum.value, sum.value};
  if (sum.variance > 0 && sum.value > 0) {
    double w = sum.largest_weight;
    double low = GammaQuantile(0.025, sum.value, sum.variance);
    double high = GammaQuantile(0.975, sum.value + w, sum.variance + w * w);
    if (std::isfinite(low)) estimate.low = std::min(low, sum.value);
    if (std::isfinite(high)) estimate.high = std::max(high, sum.value);
  }
  estimate.low = std::max(0.0, estimate.low - sum.moved_down);
  estimate.high += sum.moved_up;
  return estimate;
}

}  // namespace leakhunt::snapshot
