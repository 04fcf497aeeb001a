// Leak or not: pure functions over histories taken from snapshots. No I/O, no clock, no globals.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "collector/snapshot/estimate.h"
#include "collector/snapshot/model.h"

namespace leakhunt::verdict {

enum class Verdict : uint8_t { kLeaking, kOnset, kGrowingUnproven, kDecelerating, kAgingOut, kStartup, kBounded, kInconclusive };
const char* VerdictName(Verdict verdict);  // "leaking", "onset", "growing-unproven", …

// One site over time, as the viewer or the collector assembles it from snapshots (history.h).
struct HistoryPoint {
  int64_t time_ms = 0;
  double activity = 0;  // activity clock: allocation weight of the whole process, bytes
  double live = 0;      // bytes, or open handles
  double variance = 0;  // of `live`, from sampling
  double live_count = 0;
  double born_count = 0;   // cumulative, weighted
  double freed_samples = 0;  // cumulative
  std::array<uint64_t, snapshot::kLifetimeBuckets> lifetimes{};  // cumulative deaths by lifetime
};

// The cohorts of an earlier moment. Comparing them with later ones counts the deaths among old blocks directly, beyond
// the range of the lifetime buckets.
struct CohortSet {
  int64_t time_ms = 0;
  std::vector<snapshot::Cohort> cohorts;
};

struct History {
  std::vector<HistoryPoint> points;            // time order
  std::vector<CohortSet> earlier;              // time order, before the last point; a dozen evenly spaced ones suffice
  bool handles = false;                        // `live` counts open handles, not bytes
  std::vector<snapshot::Cohort> cohorts;       // of the last point: live blocks by birth
  std::vector<snapshot::ActivityPoint> activity;  // process clock, for cohort births between points
  int64_t process_started_ms = 0;
  bool exact = true;
  bool frees_unseen = false;  // the program may free where leakhunt does not see it: growth proves no leak
  bool beyond_memory = false; // more was said to live than the process had in memory: frees do pass leakhunt by
};

struct Evidence {
  std::string trend, cohorts, hazard;  // one clause each, for people and JSON
  bool trend_agrees = false, cohorts_agree = false, hazard_agrees = false;
};

struct SiteVerdict {
  Verdict verdict = Verdict::kInconclusive;
  double confidence = 0;  // 0..1
  snapshot::Estimate rate_per_s;  // bytes (or handles) a second
  int64_t onset_ms = 0;   // 0 = from the start, or not known
  int64_t active_until_ms = 0;  // of a leak of a process that is idle since: when its work ended; 0 = it works on
  snapshot::Estimate rate_while_active;  // until then; `rate_per_s` is the growth since. Both equal while it works
  Evidence evidence;
  std::string needs;      // what would decide it: "needs about 40 minutes more at this rate"; empty when decided
};

struct Thresholds;  // thresholds.h

// All sites of one process together, because the false-discovery rate is controlled across them
// (Benjamini–Hochberg). Result order = input order. 10,000 sites x 1,000 points in under a second.
std::vector<SiteVerdict> Judge(const std::vector<History>& sites);
std::vector<SiteVerdict> Judge(const std::vector<History>& sites, const Thresholds& thresholds);

}  // namespace leakhunt::verdict
