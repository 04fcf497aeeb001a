// One site's history measured: the three tests' figures, before any of them is judged. classify.h judges.
#pragma once

#include <cstdint>

#include "collector/verdict/cohorts.h"
#include "collector/verdict/hazard.h"
#include "collector/verdict/thresholds.h"
#include "collector/verdict/trend.h"
#include "collector/verdict/verdict.h"

namespace leakhunt::verdict {

// The births under test: [from_ms, last point - age_ms).
struct OldBlocks {
  int64_t from_ms = 0;
  int64_t age_ms = 0;
  double weight = 0;  // survivors, in the unit of HistoryPoint.live
  Spread spread;
  LateHazard hazard;
  bool flat = false;
  bool stay = false;  // hazard low enough
};

struct Analysis {
  int64_t start_ms = 0, end_ms = 0;
  size_t points = 0;
  double growth_begins = 0;     // of the run's activity, when the births under test begin
  Trend live;                   // of the whole run after start-up; slope per millisecond
  Trend old;                    // of the population of old blocks, where earlier cohorts allow
  bool old_leads = false;       // the old population, not live, carries the trend
  OldBlocks blocks;
  double p = 1;                 // of "not growing"
  double growth = 0;            // over the span under test, unit of live
  double growth_share = 0;      // growth over what the old survivors alone would add
  double recent_ratio = 0;      // recent slope over whole slope, on the better clock
  double recent_ratio_high = 0; // upper limit of the same
  double startup_share = 0;     // of the live blocks, born in the first part of the run
  double turnover = 0;          // recorded deaths over recorded live
  double samples = 0;           // recorded live blocks
  bool reconstructed = false;   // too few points: the trend was taken from the cohorts
  Slope rate_per_s;
};

Analysis Analyze(const History& history, const Thresholds& thresholds);

}  // namespace leakhunt::verdict
