#include "preload/sys/math.h"

#include <gtest/gtest.h>

#include <cmath>

namespace leakhunt::sys {
namespace {

TEST(Math, LogAgreesWithLibm) {
  for (double x = 1e-16; x < 1e16; x *= 1.37) EXPECT_NEAR(Log(x), std::log(x), 1e-11 * (1 + std::fabs(std::log(x)))) << x;
}

TEST(Math, OneMinusExpAgreesWithLibm) {
  for (double x = 1e-12; x < 100; x *= 1.19) {
    double truth = -std::expm1(-x);
    EXPECT_NEAR(OneMinusExp(x) / truth, 1, 2e-10) << x;
  }
  EXPECT_EQ(OneMinusExp(0), 0);
}

}  // namespace
}  // namespace leakhunt::sys
