// Do old blocks still die? Blocks of a cache, a session or a queue go on dying at every age; leaked ones have stopped.
// Deaths among the old are counted by comparing the cohorts of two moments: the same recorded blocks, then and later.
#pragma once

#include <cstdint>

#include "collector/verdict/verdict.h"

namespace leakhunt::verdict {

struct LateHazard {
  bool known = false;    // enough was watched to say anything
  double at_risk = 0;    // recorded old blocks that were watched
  double deaths = 0;     // of them
  double span_ms = 0;    // over which they were watched (longest)
  double expected = 0;   // deaths expected of one old block over `horizon`, at the rate seen
  double expected_high = 1e9;  // upper 95 % limit
};

// Of blocks born from `from_ms` on and older than `age_ms`. `horizon_ms`: the span of the growth under test.
LateHazard FindLateHazard(const History& history, int64_t from_ms, int64_t age_ms, int64_t horizon_ms);

// Upper 95 % limit of a Poisson mean after `count` events (one-sided 97.5 %; Wilson–Hilferty).
double PoissonHigh(double count);
// Probability of at most `count` events at this mean.
double PoissonAtMost(double count, double mean);

// Recorded deaths at an age of at least `age_ms`, from the lifetime buckets; ages beyond the last bucket's start are
// counted from there, so the result can only be too high.
double DeathsOlderThan(const HistoryPoint& point, int64_t age_ms);

}  // namespace leakhunt::verdict
