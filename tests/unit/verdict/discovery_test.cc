#include "collector/verdict/discovery.h"

#include <gtest/gtest.h>

#include "tests/bench/verdicts/recorder.h"

namespace leakhunt::verdict {
namespace {

TEST(QValues, FollowBenjaminiAndHochbergByHand) {
  std::vector<double> q = QValues({0.04, 0.001, 0.03, 0.5});
  EXPECT_DOUBLE_EQ(q[1], 0.004);
  EXPECT_NEAR(q[2], 0.16 / 3, 1e-12);  // min(0.03·4/2, 0.04·4/3)
  EXPECT_NEAR(q[0], 0.16 / 3, 1e-12);
  EXPECT_DOUBLE_EQ(q[3], 0.5);
}

TEST(QValues, OfNothingAreNothing) { EXPECT_TRUE(QValues({}).empty()); }

TEST(QValues, NoiseAloneYieldsDiscoveriesInFewRuns) {
  int runs_with_any = 0, runs = 400;
  for (int seed = 0; seed < runs; ++seed) {
    corpus::Random random(static_cast<uint64_t>(seed));
    std::vector<double> p(200);
    for (double& value : p) value = random.Uniform();
    bool any = false;
    for (double q : QValues(p)) any |= q <= 0.05;
    runs_with_any += any;
  }
  EXPECT_LE(runs_with_any, runs * 8 / 100);
}

}  // namespace
}  // namespace leakhunt::verdict
