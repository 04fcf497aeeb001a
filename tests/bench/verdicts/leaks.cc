// Scenarios that leak, each with data enough to tell: at least 40 recorded leaked blocks over at least 12 snapshots.
#include <memory>

#include "tests/bench/verdicts/scenario.h"

namespace leakhunt::corpus {

namespace {

verdict::History Steady(uint64_t seed, int variant) {
  Shape shape(seed, 30, Hours(24));
  double leaked = shape.random.LogBetween(100, 8000), size = shape.random.LogBetween(16, 4000);
  shape.Sample(variant, leaked, size);
  Simulation sim(seed, shape.plan);
  sim.Arrivals(leaked / shape.plan.span_s, [&](double t) { sim.Born(t, size); });
  return sim.Run();
}

verdict::History Slow(uint64_t seed, int) {
  Shape shape(seed, Minutes(20), Hours(48));
  double leaked = shape.random.Between(45, 90), size = shape.random.LogBetween(64, 100'000);
  Simulation sim(seed, shape.plan);
  sim.Arrivals(leaked / shape.plan.span_s, [&](double t) { sim.Born(t, size); });
  return sim.Run();
}

verdict::History Fast(uint64_t seed, int variant) {
  Shape shape(seed, 20, Minutes(10));
  double leaked = shape.random.LogBetween(5000, 20'000);
  shape.Sample(variant, leaked, 100);
  Simulation sim(seed, shape.plan);
  sim.Arrivals(leaked / shape.plan.span_s, [&](double t) { sim.Born(t, sim.random().LogNormal(100, 1)); });
  return sim.Run();
}

// Most blocks of the site are healthy and short-lived; some are never freed.
verdict::History Mixed(uint64_t seed, int variant) {
  Shape shape(seed, Minutes(5), Hours(24));
  double span = shape.plan.span_s, births = 20'000, share = shape.random.LogBetween(0.01, 0.5);
  double lifetime = span * shape.random.LogBetween(0.0003, 0.01), size = 200;
  shape.Sample(variant, births * share, size, 80);
  Simulation sim(seed, shape.plan);
  sim.Arrivals(births / span, [&](double t) {
    auto block = sim.Born(t, size);
    if (!sim.random().Chance(share)) sim.DiesAt(block, t + sim.random().Exponential(lifetime));
  });
  return sim.Run();
}

// Sessions of a few minutes; a few per cent are forgotten.
verdict::History Sessions(uint64_t seed, int variant) {
  Shape shape(seed, Hours(3), Hours(30));
  double span = shape.plan.span_s, births = 10'000, share = shape.random.LogBetween(0.02, 0.2);
  double median = shape.random.Between(60, span / 60), size = 3000;
  shape.Sample(variant, births * share, size, 100);
  Simulation sim(seed, shape.plan);
  sim.Arrivals(births / span, [&](double t) {
    auto block = sim.Born(t, size);
    if (!sim.random().Chance(share)) sim.DiesAt(block, t + sim.random().LogNormal(median, 0.6));
  });
  return sim.Run();
}

verdict::History DailyLoad(uint64_t seed, int variant) {
  Shape shape(seed, Hours(30), Hours(96), 40, 150);
  double leaked = shape.random.LogBetween(300, 5000), size = shape.random.LogBetween(50, 5000);
  shape.Sample(variant, leaked, size, 80);
  shape.plan.load = Diurnal(Hours(24), shape.random.Between(0.5, 0.95), shape.random.Uniform());
  shape.plan.highest_load = 2;
  Simulation sim(seed, shape.plan);
  double sessions = variant % 4 < 2 ? 0.1 : 0;
  sim.Arrivals(leaked / shape.plan.span_s, [&](double t) { sim.Born(t, size); });
  if (sessions > 0) {
    sim.Arrivals(sessions, [&](double t) { sim.DiesAt(sim.Born(t, size), t + sim.random().Exponential(600)); });
  }
  return sim.Run();
}

verdict::History Bursty(uint64_t seed, int variant) {
  Shape shape(seed, Minutes(30), Hours(48), 24, 200);
  double bursts = shape.random.Between(12, 40), size = 500, burst = shape.random.LogBetween(10, 200);
  shape.Sample(variant, bursts * burst, size, 150);
  Simulation sim(seed, shape.plan);
  sim.Arrivals(bursts / shape.plan.span_s, [&](double t) {
    for (double n = sim.random().Exponential(burst); n > 0; --n) sim.Born(t, size);
  });
  return sim.Run();
}

verdict::History MidRun(uint64_t seed, int variant) {
  Shape shape(seed, Minutes(10), Hours(48), 20, 200);
  double begins = shape.plan.span_s * shape.random.Between(0.3, 0.7), size = 300;
  double leaked = shape.random.LogBetween(200, 4000), span = shape.plan.span_s;
  shape.Sample(variant, leaked, size, 100);
  Simulation sim(seed, shape.plan);
  sim.Arrivals(4000 / span, [&](double t) { sim.DiesAt(sim.Born(t, size), t + sim.random().Exponential(span / 300)); });
  sim.Arrivals(leaked / (span - begins), [&](double t) { sim.Born(t, size); }, begins);
  return sim.Run();
}

// A table at start, from the same call site, then the leak.
verdict::History AfterTable(uint64_t seed, int variant) {
  Shape shape(seed, Minutes(5), Hours(24));
  double leaked = shape.random.LogBetween(150, 4000), size = 120, span = shape.plan.span_s;
  double table = leaked * shape.random.LogBetween(0.3, 10);
  shape.Sample(variant, leaked, size, 100);
  Simulation sim(seed, shape.plan);
  double loading = std::min(20.0, span * shape.random.Between(0.01, 0.1));
  sim.Arrivals(table / loading, [&](double t) { sim.Born(t, size); }, 0, loading);
  sim.Arrivals(leaked / span, [&](double t) { sim.Born(t, size); });
  return sim.Run();
}

// A cache that is full and turns over, and a leak, from one call site.
verdict::History BesideCache(uint64_t seed, int variant) {
  Shape shape(seed, Minutes(30), Hours(48), 20, 200);
  double span = shape.plan.span_s, leaked = shape.random.LogBetween(400, 4000), size = 256;
  shape.Sample(variant, leaked, size, 150);
  Simulation sim(seed, shape.plan);
  auto fifo = std::make_shared<std::vector<Recorder::Block>>();
  auto oldest = std::make_shared<size_t>(0);
  size_t capacity = static_cast<size_t>(shape.random.Between(100, 600));
  sim.Arrivals(12'000 / span, [&, fifo, oldest](double t) {
    if (fifo->size() - *oldest >= capacity) sim.Died((*fifo)[(*oldest)++], t);
    fifo->push_back(sim.Born(t, size));
  });
  sim.Arrivals(leaked / span, [&](double t) { sim.Born(t, size); });
  return sim.Run();
}

// Some of what leaks is freed after all, late.
verdict::History PartlyReclaimed(uint64_t seed, int variant) {
  Shape shape(seed, Minutes(20), Hours(24), 16, 200);
  double leaked = shape.random.LogBetween(300, 5000), size = 700, span = shape.plan.span_s;
  double reclaimed = shape.random.Between(0.02, 0.12);
  shape.Sample(variant, leaked, size, 150);
  Simulation sim(seed, shape.plan);
  sim.Arrivals(leaked / span, [&](double t) {
    auto block = sim.Born(t, size);
    if (sim.random().Chance(reclaimed)) sim.DiesAt(block, t + sim.random().Uniform() * span);
  });
  return sim.Run();
}

// Idle first, or idle at the end: the load decides when it leaks.
verdict::History PartOfTheTime(uint64_t seed, int variant) {
  Shape shape(seed, 60, Hours(12), 24, 200);
  double span = shape.plan.span_s, from = variant % 4 < 2 ? span * 0.4 : 0, to = from > 0 ? span : span * 0.65;
  double leaked = shape.random.LogBetween(200, 4000);
  shape.Sample(variant, leaked, 128, 100);
  shape.plan.load = [=](double t) { return t >= from && t < to ? 1 : 0.01; };
  Simulation sim(seed, shape.plan);
  sim.Arrivals(leaked / (to - from), [&](double t) { sim.Born(t, sim.random().LogNormal(128, 0.5)); });
  return sim.Run();
}

// The load steps up or down, and the leak with it.
verdict::History LoadSteps(uint64_t seed, int variant) {
  Shape shape(seed, Minutes(30), Hours(36), 24, 200);
  double span = shape.plan.span_s, at = span * shape.random.Between(0.3, 0.6), leaked = shape.random.LogBetween(400, 5000);
  bool up = variant % 4 < 2;
  double low = shape.random.Between(0.2, 0.6);
  shape.Sample(variant, leaked, 128, 120);
  shape.plan.load = [=](double t) { return (t < at) == up ? low : 1; };
  Simulation sim(seed, shape.plan);
  sim.Arrivals(leaked / span, [&](double t) { sim.Born(t, 128); });
  sim.Arrivals(6000 / span, [&](double t) { sim.DiesAt(sim.Born(t, 128), t + sim.random().Exponential(span / 400)); });
  return sim.Run();
}

verdict::History Sockets(uint64_t seed, int) {
  Shape shape(seed, 60, Hours(24));
  shape.plan.handles = true;
  double span = shape.plan.span_s, leaked = shape.random.LogBetween(40, 1500);
  Simulation sim(seed, shape.plan);
  sim.Arrivals(leaked / span, [&](double t) { sim.Born(t, 1); });
  sim.Arrivals(5000 / span, [&](double t) { sim.DiesAt(sim.Born(t, 1), t + sim.random().LogNormal(span / 300, 0.8)); });
  return sim.Run();
}

// Blocks of very unequal size: the bytes are noisy, the births are not.
verdict::History Unequal(uint64_t seed, int variant) {
  Shape shape(seed, Minutes(10), Hours(24), 16, 200);
  double leaked = shape.random.LogBetween(300, 4000);
  shape.Sample(variant, leaked, 2000, 200);
  Simulation sim(seed, shape.plan);
  sim.Arrivals(leaked / shape.plan.span_s, [&](double t) { sim.Born(t, sim.random().LogNormal(500, 1.5)); });
  return sim.Run();
}

}  // namespace

std::vector<Scenario> LeakScenarios() {
  return {{"leak-steady", Label::kLeak, false, Steady},
          {"leak-slow", Label::kLeak, false, Slow},
          {"leak-fast", Label::kLeak, false, Fast},
          {"leak-mixed", Label::kLeak, false, Mixed},
          {"leak-sessions", Label::kLeak, false, Sessions},
          {"leak-daily-load", Label::kLeak, false, DailyLoad},
          {"leak-bursty", Label::kLeak, false, Bursty},
          {"leak-mid-run", Label::kLeak, false, MidRun},
          {"leak-after-table", Label::kLeak, false, AfterTable},
          {"leak-beside-cache", Label::kLeak, false, BesideCache},
          {"leak-partly-reclaimed", Label::kLeak, false, PartlyReclaimed},
          {"leak-part-of-the-time", Label::kLeak, false, PartOfTheTime},
          {"leak-load-steps", Label::kLeak, false, LoadSteps},
          {"leak-sockets", Label::kLeak, false, Sockets},
          {"leak-unequal", Label::kLeak, false, Unequal}};
}

}  // namespace leakhunt::corpus
