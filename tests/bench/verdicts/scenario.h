// How one scenario is written: a shape of the run, then rules on a simulation. Used by leaks.cc, bounded.cc, unsure.cc.
#pragma once

#include <cmath>
#include <string>
#include <vector>

#include "tests/bench/verdicts/corpus.h"
#include "tests/bench/verdicts/simulation.h"

namespace leakhunt::corpus {

struct Scenario {
  const char* family;
  Label label;
  bool turned_over;
  verdict::History (*run)(uint64_t seed, int variant);
};

std::vector<Scenario> LeakScenarios();
std::vector<Scenario> BoundedScenarios();
std::vector<Scenario> UnsureScenarios();

inline double Minutes(double m) { return m * 60; }
inline double Hours(double h) { return h * 3600; }

inline Load Diurnal(double period_s, double depth, double phase) {
  return [=](double t) { return 1 + depth * std::sin(2 * M_PI * (t / period_s + phase)); };
}

// Span and interval drawn so that there are between `fewest` and `most` snapshots, 1 s to 30 min apart. Odd variants
// are sampled: of `blocks` blocks of `size` bytes about `recorded` are.
struct Shape {
  Random random;
  Plan plan;

  Shape(uint64_t seed, double shortest_s, double longest_s, double fewest = 12, double most = 200)
      : random(seed ^ 0x5EED) {
    plan.span_s = random.LogBetween(shortest_s, longest_s);
    plan.interval_s = std::clamp(plan.span_s / random.LogBetween(fewest, most), 1.0, Minutes(30));
    plan.interval_s = std::min(plan.interval_s, plan.span_s / fewest);
  }
  void Sample(int variant, double blocks, double size, double fewest = 60, double most = 1500) {
    double recorded = random.LogBetween(fewest, most);
    if (variant % 2 == 1 && recorded < blocks) plan.sample_bytes = std::max(2.0, size * blocks / recorded);
  }
};

}  // namespace leakhunt::corpus
