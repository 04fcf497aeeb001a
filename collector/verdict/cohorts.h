// What the birth dates of the living say. A leak leaves survivors evenly over the activity they were born in; a cache
// or a session table has none from before its last turnover; a start-up table has nothing but the first.
#pragma once

#include <cstdint>
#include <vector>

#include "collector/verdict/activity_clock.h"

namespace leakhunt::verdict {

// Which figure of a cohort is compared. Blocks in exact mode; with sampling, bytes, because their estimate is proportional
// to the samples, while block counts of small sizes hang on a few large weights.
enum class Measure : uint8_t { kBlocks, kBytes, kSamples };

double Of(const snapshot::Cohort& cohort, Measure measure);

// Living born in [from_ms, to_ms). A cohort that lies across a limit counts by the share of its time inside.
double BornIn(const std::vector<snapshot::Cohort>& cohorts, int64_t from_ms, int64_t to_ms, Measure measure);

struct Spread {
  double deviation = 1;  // largest gap between the survivors' cumulative births and the better of the two clocks, 0..1
  double samples = 0;    // recorded survivors
  double dispersion = 1; // births of neighbouring cohorts differ by so much more than chance alone: bursts; 1 = by chance
  int bins = 0;          // cohort limits the deviation was looked for at
};

// How evenly the survivors' births in [from_ms, to_ms) follow a clock.
Spread FindSpread(const std::vector<snapshot::Cohort>& cohorts, int64_t from_ms, int64_t to_ms, const Clock& clock,
                  Measure measure);

// Where, in [from_ms, to_ms), the density of surviving births changed most, by likelihood; 0 when nothing to tell.
struct DensityChange {
  int64_t at_ms = 0;
  double before = 0, after = 0;  // survivors per fraction of the clock
};
DensityChange FindDensityChange(const std::vector<snapshot::Cohort>& cohorts, int64_t from_ms, int64_t to_ms,
                                const Clock& clock);

}  // namespace leakhunt::verdict
