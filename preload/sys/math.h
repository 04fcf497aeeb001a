// exp and log without libm (the guest needs libc alone). Relative error below 1e-12 over the ranges sampling uses.
#pragma once

#include <cstdint>

namespace leakhunt::sys {

// Natural logarithm of x > 0, normal range. x = m·2^e with m in [sqrt(1/2), sqrt(2)); atanh series in (m-1)/(m+1).
inline double Log(double x) {
  uint64_t bits = __builtin_bit_cast(uint64_t, x);
  int exponent = static_cast<int>(bits >> 52) - 1023;
  double m = __builtin_bit_cast(double, (bits & 0x000F'FFFF'FFFF'FFFFu) | 0x3FF0'0000'0000'0000u);
  if (m > 1.4142135623730951) m *= 0.5, ++exponent;
  double s = (m - 1) / (m + 1), z = s * s;
  double series = 1 + z * (1.0 / 3 + z * (1.0 / 5 + z * (1.0 / 7 + z * (1.0 / 9 + z * (1.0 / 11 + z * (1.0 / 13 + z * (1.0 / 15)))))));
  return exponent * 0.6931471805599453 + 2 * s * series;
}

// 1 - exp(-x) for x >= 0, accurate near 0.
inline double OneMinusExp(double x) {
  if (x > 40) return 1;
  if (x < 1e-5) return x * (1 - x * (0.5 - x / 6));
  int k = static_cast<int>(x * 1.4426950408889634 + 0.5);  // exp(-x) = 2^-k · exp(-(x - k ln 2))
  double r = -(x - k * 0.6931471805599453);
  double term = 1, sum = 1;
  for (int i = 1; i <= 14; ++i) term *= r / i, sum += term;
  double scale = __builtin_bit_cast(double, static_cast<uint64_t>(1023 - k) << 52);
  return 1 - sum * scale;
}

}  // namespace leakhunt::sys
