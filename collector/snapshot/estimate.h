// Confidence limits of a weighted sum.
#pragma once

#include "collector/snapshot/model.h"

namespace leakhunt::snapshot {

struct Estimate {
  double value = 0, low = 0, high = 0;  // 95 % limits
};

// Fay & Feuer (1997, Statistics in Medicine 16:791) gamma limits for a weighted sum of Poisson counts:
//   low  = v/(2y) · chi2inv(0.025, 2y²/v),
//   high = (v+w²)/(2(y+w)) · chi2inv(0.975, 2(y+w)²/(v+w²)),
// y the sum, v its variance, w the largest single weight; then widened by what moved while a live program was read.
// Variance 0: low = high = value (before widening). Never throws; low >= 0.
Estimate Limits(const Weighted& sum);

}  // namespace leakhunt::snapshot
