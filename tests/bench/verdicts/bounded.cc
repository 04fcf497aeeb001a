// Scenarios that do not leak, each with data enough to tell: caches that turned over, sessions that ended, tables that
// stopped growing before half of the run.
#include <algorithm>
#include <deque>
#include <memory>
#include <unordered_map>

#include "tests/bench/verdicts/scenario.h"

namespace leakhunt::corpus {

namespace {

verdict::History Fifo(uint64_t seed, int variant) {
  Shape shape(seed, Minutes(2), Hours(48));
  double span = shape.plan.span_s, fills = shape.random.Between(2.1, 20);
  auto capacity = static_cast<size_t>(shape.random.LogBetween(100, 3000));
  shape.Sample(variant, static_cast<double>(capacity), 400);
  Simulation sim(seed, shape.plan);
  auto queue = std::make_shared<std::deque<Recorder::Block>>();
  sim.Arrivals(static_cast<double>(capacity) * fills / span, [&, queue](double t) {
    if (queue->size() >= capacity) {
      sim.Died(queue->front(), t);
      queue->pop_front();
    }
    queue->push_back(sim.Born(t, 400));
  });
  return sim.Run();
}

// Zipf-like keys; the least recently used goes. Hot entries are never evicted.
verdict::History Lru(uint64_t seed, int variant) {
  Shape shape(seed, Minutes(5), Hours(48));
  double span = shape.plan.span_s;
  auto capacity = static_cast<size_t>(shape.random.LogBetween(100, 800));
  double keys = static_cast<double>(capacity) * 20, skew = shape.random.Between(0.3, 1.2);
  shape.Sample(variant, static_cast<double>(capacity), 400);
  Simulation sim(seed, shape.plan);
  struct Entry {
    Recorder::Block block;
    uint64_t used;
  };
  auto cache = std::make_shared<std::unordered_map<uint64_t, Entry>>();
  auto uses = std::make_shared<std::deque<std::pair<uint64_t, uint64_t>>>();
  auto clock = std::make_shared<uint64_t>(0);
  sim.Arrivals(static_cast<double>(capacity) * 20 / span, [&, cache, uses, clock, capacity, keys, skew](double t) {
    auto key = static_cast<uint64_t>(keys * std::pow(sim.random().Uniform(), 1 / (1 - std::min(skew, 0.9)) * 0.8));
    uses->push_back({key, ++*clock});
    auto found = cache->find(key);
    if (found != cache->end()) {
      found->second.used = *clock;
      return;
    }
    while (cache->size() >= capacity) {
      auto [victim, used] = uses->front();
      uses->pop_front();
      auto it = cache->find(victim);
      if (it == cache->end() || it->second.used != used) continue;
      sim.Died(it->second.block, t);
      cache->erase(it);
    }
    cache->emplace(key, Entry{sim.Born(t, 400), *clock});
  });
  return sim.Run();
}

verdict::History Ttl(uint64_t seed, int variant) {
  Shape shape(seed, Minutes(5), Hours(48));
  double span = shape.plan.span_s, ttl = span / shape.random.Between(2.3, 20), live = shape.random.LogBetween(150, 3000);
  shape.Sample(variant, live, 300);
  if (variant % 4 >= 2) {
    shape.plan.load = Diurnal(span / shape.random.Between(1, 4), 0.5, shape.random.Uniform());
    shape.plan.highest_load = 1.5;
  }
  Simulation sim(seed, shape.plan);
  sim.Arrivals(live / ttl, [&](double t) { sim.DiesAt(sim.Born(t, 300), t + ttl); });
  return sim.Run();
}

// Fills by first use of a key and keeps it: full before 60 % of the run.
verdict::History Warming(uint64_t seed, int variant) {
  Shape shape(seed, Minutes(5), Hours(24));
  double span = shape.plan.span_s, keys = shape.random.LogBetween(200, 4000), speed = shape.random.Between(6, 30);
  shape.Sample(variant, keys, 600);
  Simulation sim(seed, shape.plan);
  auto seen = std::make_shared<std::vector<bool>>(static_cast<size_t>(keys));
  sim.Arrivals(keys * speed / span, [&, seen, keys](double t) {
    auto key = sim.random().Below(static_cast<uint64_t>(keys));
    if ((*seen)[key]) return;
    (*seen)[key] = true;
    sim.Born(t, 600);
  });
  return sim.Run();
}

// Objects are reused; the pool grows only to a new peak of simultaneous use.
verdict::History Pool(uint64_t seed, int variant) {
  Shape shape(seed, Minutes(10), Hours(72), 16);
  double span = shape.plan.span_s, live = shape.random.LogBetween(60, 1000);
  shape.plan.load = Diurnal(span / shape.random.Between(2.5, 8), 0.6, shape.random.Uniform());
  shape.plan.highest_load = 1.6;
  shape.Sample(variant, live, 2000);
  Simulation sim(seed, shape.plan);
  auto used = std::make_shared<int>(0);
  auto pooled = std::make_shared<int>(0);
  double held = span / 200;
  sim.Arrivals(live / held, [&, used, pooled, held](double t) {
    if (++*used > *pooled) {
      ++*pooled;
      sim.Born(t, 2000);
    }
    sim.At(t + sim.random().Exponential(held), [used](double) { --*used; });
  });
  return sim.Run();
}

// Few big chunks, taken while the load first rises, given back rarely.
verdict::History Arena(uint64_t seed, int variant) {
  Shape shape(seed, Minutes(10), Hours(48), 16);
  double span = shape.plan.span_s, chunks = shape.random.Between(8, 60), full = span * shape.random.Between(0.1, 0.4);
  Simulation sim(seed, shape.plan);
  sim.Arrivals(chunks / full, [&, full](double t) {
    if (!sim.random().Chance(1 - t / full)) return;
    auto chunk = sim.Born(t, 1 << 20);
    if (variant % 2) sim.DiesAt(chunk, t + sim.random().Exponential(span));
  }, 0, full);
  return sim.Run();
}

// Sessions: minutes to hours, at least three of their mean lifetimes within the run.
verdict::History Sessions(uint64_t seed, int variant) {
  Shape shape(seed, Minutes(30), Hours(72));
  double span = shape.plan.span_s, mean = span / shape.random.LogBetween(4, 60), live = shape.random.LogBetween(100, 2000);
  shape.Sample(variant, live, 5000);
  Simulation sim(seed, shape.plan);
  sim.Arrivals(live / mean, [&](double t) {
    double lifetime = variant % 4 < 2 ? sim.random().Exponential(mean) : sim.random().LogNormal(mean * 0.8, 0.5);
    sim.DiesAt(sim.Born(t, 5000), t + lifetime);
  });
  return sim.Run();
}

verdict::History DailySessions(uint64_t seed, int variant) {
  Shape shape(seed, Hours(14), Hours(96), 40, 150);
  double mean = shape.random.LogBetween(Minutes(2), Minutes(60)), live = shape.random.LogBetween(100, 1000);
  shape.plan.load = Diurnal(Hours(24), shape.random.Between(0.4, 0.95), shape.random.Uniform());
  shape.plan.highest_load = 2;
  shape.Sample(variant, live, 5000);
  Simulation sim(seed, shape.plan);
  sim.Arrivals(std::min(live / mean, 0.3), [&](double t) { sim.DiesAt(sim.Born(t, 5000), t + sim.random().Exponential(mean)); });
  return sim.Run();
}

verdict::History Startup(uint64_t seed, int variant) {
  Shape shape(seed, 30, Hours(24));
  double blocks = shape.random.LogBetween(50, 5000), loading = std::min(30.0, shape.plan.span_s * 0.08);
  shape.Sample(variant, blocks, 90);
  Simulation sim(seed, shape.plan);
  sim.Arrivals(blocks / loading, [&](double t) { sim.Born(t, 90); }, 0, loading);
  if (variant % 4 < 2) {
    double span = shape.plan.span_s;
    sim.Arrivals(2000 / span, [&, span](double t) { sim.DiesAt(sim.Born(t, 90), t + sim.random().Exponential(span / 500)); });
  }
  return sim.Run();
}

// Garbage piles up and is collected when it reaches a threshold: at least four times.
verdict::History Collected(uint64_t seed, int variant) {
  Shape shape(seed, Minutes(5), Hours(24), 20);
  double span = shape.plan.span_s, cycles = shape.random.Between(4.3, 30), batch = shape.random.LogBetween(100, 1000);
  double survive = variant % 4 < 2 ? 0 : shape.random.Between(0.02, 0.2);
  shape.Sample(variant, batch, 150);
  Simulation sim(seed, shape.plan);
  auto heap = std::make_shared<std::vector<Recorder::Block>>();
  sim.Arrivals(batch * cycles / span, [&, heap, survive](double t) {
    heap->push_back(sim.Born(t, 150));
    if (static_cast<double>(heap->size()) < batch) return;
    std::vector<Recorder::Block> kept;
    for (auto block : *heap) {
      if (sim.random().Chance(survive)) {
        kept.push_back(block);
      } else {
        sim.Died(block, t);
      }
    }
    *heap = std::move(kept);
  });
  return sim.Run();
}

// The load grows all through the run, and what is live with it; nothing gets old.
verdict::History RisingLoad(uint64_t seed, int variant) {
  Shape shape(seed, Minutes(10), Hours(24));
  double span = shape.plan.span_s, mean = span / shape.random.LogBetween(20, 300), live = shape.random.LogBetween(100, 1000);
  shape.plan.load = [=](double t) { return 0.3 + 0.7 * t / span; };
  shape.Sample(variant, live, 800);
  Simulation sim(seed, shape.plan);
  sim.Arrivals(std::min(live / mean, 40'000 / span), [&](double t) { sim.DiesAt(sim.Born(t, 800), t + sim.random().Exponential(mean)); });
  return sim.Run();
}

// Batches: a phase builds its data and drops all of it at its end.
verdict::History Phases(uint64_t seed, int variant) {
  Shape shape(seed, Minutes(10), Hours(24), 24);
  double span = shape.plan.span_s, phase = span / shape.random.Between(3.2, 12), blocks = shape.random.LogBetween(100, 1500);
  shape.Sample(variant, blocks, 256);
  Simulation sim(seed, shape.plan);
  sim.Arrivals(blocks / phase, [&, phase](double t) { sim.DiesAt(sim.Born(t, 256), (std::floor(t / phase) + 1) * phase); });
  return sim.Run();
}

// A table built once, in the middle of the run.
verdict::History LateTable(uint64_t seed, int variant) {
  Shape shape(seed, Minutes(5), Hours(24), 16);
  double span = shape.plan.span_s, from = span * shape.random.Between(0.2, 0.5), to = from + span * shape.random.Between(0.01, 0.1);
  double blocks = shape.random.LogBetween(50, 3000);
  shape.Sample(variant, blocks, 100);
  Simulation sim(seed, shape.plan);
  sim.Arrivals(blocks / (to - from), [&](double t) { sim.Born(t, 100); }, from, to);
  return sim.Run();
}

// A queue with backlogs that are worked off.
verdict::History Backlog(uint64_t seed, int variant) {
  Shape shape(seed, Minutes(10), Hours(24), 24);
  double span = shape.plan.span_s, service = span / 8000;
  double period = span / shape.random.Between(3, 8);
  shape.plan.load = Diurnal(period, 0.7, shape.random.Uniform());
  shape.plan.highest_load = 1.7;
  shape.Sample(variant, 800, 300);
  Simulation sim(seed, shape.plan);
  auto free_at = std::make_shared<double>(0.0);
  sim.Arrivals(0.8 / service, [&, free_at, service](double t) {
    *free_at = std::max(*free_at, t) + sim.random().Exponential(service);
    sim.DiesAt(sim.Born(t, 300), *free_at);
  });
  return sim.Run();
}

// One hash table that doubles when full, then stays.
verdict::History HashTable(uint64_t seed, int) {
  Shape shape(seed, Minutes(5), Hours(24), 16);
  double span = shape.plan.span_s, keys = shape.random.LogBetween(1000, 50'000);
  Simulation sim(seed, shape.plan);
  auto table = std::make_shared<Recorder::Block>(sim.Born(0.01, 1024));
  double grows_until = span * shape.random.Between(0.2, 0.5);
  for (double size = 2048; size < keys * 16; size *= 2) {
    sim.At(grows_until * size / (keys * 16), [&, table, size](double) { sim.Resized(*table, size); });
  }
  return sim.Run();
}

verdict::History Churn(uint64_t seed, int variant) {
  Shape shape(seed, 20, Hours(48));
  double span = shape.plan.span_s;
  shape.Sample(variant, 10'000, 128, 200);
  Simulation sim(seed, shape.plan);
  sim.Arrivals(10'000 / span, [&](double t) { sim.DiesAt(sim.Born(t, 128), t + sim.random().Exponential(span / 500)); });
  return sim.Run();
}

// Connections opened and closed by clients; as many as clients there are.
verdict::History Connections(uint64_t seed, int) {
  Shape shape(seed, Minutes(5), Hours(48));
  shape.plan.handles = true;
  double span = shape.plan.span_s, mean = span / shape.random.LogBetween(5, 200), live = shape.random.LogBetween(20, 500);
  Simulation sim(seed, shape.plan);
  sim.Arrivals(std::min(live / mean, 20'000 / span), [&](double t) { sim.DiesAt(sim.Born(t, 1), t + sim.random().LogNormal(mean, 1)); });
  return sim.Run();
}

// Young garbage dies soon, survivors are promoted and fall to rarer full collections: at least three.
verdict::History Generations(uint64_t seed, int variant) {
  Shape shape(seed, Minutes(10), Hours(24), 24);
  double span = shape.plan.span_s, major = span / shape.random.Between(3.3, 12), births = 15'000;
  double promoted = shape.random.Between(0.03, 0.3);
  shape.Sample(variant, births * promoted / 4, 120, 100);
  Simulation sim(seed, shape.plan);
  sim.Arrivals(births / span, [&, major, promoted](double t) {
    auto block = sim.Born(t, 120);
    double collected = sim.random().Chance(promoted) ? major : major / 20;
    sim.DiesAt(block, (std::floor(t / collected) + 1) * collected);
  });
  return sim.Run();
}

}  // namespace

std::vector<Scenario> BoundedScenarios() {
  return {{"bounded-fifo", Label::kNotLeak, true, Fifo},
          {"bounded-lru", Label::kNotLeak, true, Lru},
          {"bounded-ttl", Label::kNotLeak, true, Ttl},
          {"bounded-warming", Label::kNotLeak, false, Warming},
          {"bounded-pool", Label::kNotLeak, false, Pool},
          {"bounded-arena", Label::kNotLeak, false, Arena},
          {"bounded-sessions", Label::kNotLeak, true, Sessions},
          {"bounded-daily-sessions", Label::kNotLeak, true, DailySessions},
          {"bounded-startup", Label::kNotLeak, false, Startup},
          {"bounded-collected", Label::kNotLeak, true, Collected},
          {"bounded-rising-load", Label::kNotLeak, true, RisingLoad},
          {"bounded-phases", Label::kNotLeak, true, Phases},
          {"bounded-late-table", Label::kNotLeak, false, LateTable},
          {"bounded-backlog", Label::kNotLeak, true, Backlog},
          {"bounded-hash-table", Label::kNotLeak, false, HashTable},
          {"bounded-churn", Label::kNotLeak, true, Churn},
          {"bounded-connections", Label::kNotLeak, true, Connections},
          {"bounded-generations", Label::kNotLeak, true, Generations}};
}

}  // namespace leakhunt::corpus
