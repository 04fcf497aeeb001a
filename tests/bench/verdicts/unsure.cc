// Scenarios whose data cannot tell: a cache before it is full, sessions longer than the run, too few blocks or snapshots.
// Any verdict is allowed, but how many are called a leak is reported.
#include <memory>

#include "tests/bench/verdicts/scenario.h"

namespace leakhunt::corpus {

namespace {

verdict::History UnfilledCache(uint64_t seed, int variant) {
  Shape shape(seed, Minutes(2), Hours(24));
  double blocks = shape.random.LogBetween(100, 3000);
  shape.Sample(variant, blocks, 400);
  Simulation sim(seed, shape.plan);
  sim.Arrivals(blocks / shape.plan.span_s, [&](double t) { sim.Born(t, 400); });
  return sim.Run();
}

// Every key is kept from its first use; 30–70 % have been used by the end.
verdict::History StillWarming(uint64_t seed, int variant) {
  Shape shape(seed, Minutes(5), Hours(24));
  double span = shape.plan.span_s, keys = shape.random.LogBetween(400, 6000), speed = shape.random.Between(0.4, 1.2);
  shape.Sample(variant, keys * 0.5, 600);
  Simulation sim(seed, shape.plan);
  auto seen = std::make_shared<std::vector<bool>>(static_cast<size_t>(keys));
  sim.Arrivals(keys * speed / span, [&, seen, keys](double t) {
    auto key = sim.random().Below(static_cast<uint64_t>(keys));
    if (!(*seen)[key]) sim.Born(t, 600);
    (*seen)[key] = true;
  });
  return sim.Run();
}

verdict::History LongSessions(uint64_t seed, int variant) {
  Shape shape(seed, Minutes(30), Hours(24));
  double span = shape.plan.span_s, mean = span * shape.random.Between(0.6, 3), blocks = shape.random.LogBetween(200, 3000);
  shape.Sample(variant, blocks, 900);
  Simulation sim(seed, shape.plan);
  sim.Arrivals(blocks / span, [&](double t) { sim.DiesAt(sim.Born(t, 900), t + sim.random().LogNormal(mean, 0.3)); });
  return sim.Run();
}

verdict::History FewBlocks(uint64_t seed, int) {
  Shape shape(seed, Minutes(5), Hours(24));
  Simulation sim(seed, shape.plan);
  double blocks = shape.random.Between(2, 8);
  sim.Arrivals(blocks / shape.plan.span_s, [&](double t) { sim.Born(t, 64); });
  return sim.Run();
}

verdict::History FewSnapshots(uint64_t seed, int) {
  Shape shape(seed, Minutes(1), Hours(2));
  double span = shape.plan.span_s;
  shape.plan.interval_s = span / (1 + std::floor(shape.random.Uniform() * 3));
  Simulation sim(seed, shape.plan);
  sim.Arrivals(1000 / span, [&](double t) { sim.DiesAt(sim.Born(t, 64), t + sim.random().Exponential(span)); });
  return sim.Run();
}

verdict::History VeryShort(uint64_t seed, int) {
  Shape shape(seed, 2, 6, 2, 5);
  Simulation sim(seed, shape.plan);
  sim.Arrivals(300, [&](double t) { sim.Born(t, 64); });
  return sim.Run();
}

}  // namespace

std::vector<Scenario> UnsureScenarios() {
  return {{"unsure-unfilled-cache", Label::kInsufficient, false, UnfilledCache},
          {"unsure-still-warming", Label::kInsufficient, false, StillWarming},
          {"unsure-long-sessions", Label::kInsufficient, false, LongSessions},
          {"unsure-few-blocks", Label::kInsufficient, false, FewBlocks},
          {"unsure-few-snapshots", Label::kInsufficient, false, FewSnapshots},
          {"unsure-very-short", Label::kInsufficient, false, VeryShort}};
}

}  // namespace leakhunt::corpus
