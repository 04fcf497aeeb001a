// Every number the verdicts turn on, in one place. Fitted on the tuning half of the corpus of site histories
// (tests/bench/verdicts), never on the held-out half whose figures are reported.
#pragma once

#include <cstdint>

namespace leakhunt::verdict {

struct Thresholds {
  // Trend.
  double false_discovery_rate = 0.05;  // Benjamini–Hochberg over the sites of a process
  int64_t min_points = 6;              // snapshots a trend needs
  int64_t min_span_ms = 8'000;         // shorter runs prove nothing
  int64_t min_reconstructed = 3;               // snapshots from which birth dates may stand in for a trend …
  int64_t min_reconstructed_ms = 600'000;      // … of a run this long: a short program that builds its data looks the same
  double recent_share = 0.4;           // "recently": this last part of the growth
  double recent_ratio = 0.45;          // recent slope over whole slope that still counts as steady
  double growth_ratio = 0.55;          // growth of live over what the old survivors alone would add
  double min_growth_bytes = 1024;
  double min_growth_handles = 8;
  // Birth cohorts.
  double startup_share = 0.05;   // births in this first part of the run are start-up
  double min_survivors = 12;     // recorded old survivors
  double min_slowing_survivors = 50;  // … when more were born a unit of time before the births under test than in them
  double slowing_ratio = 1.5;         // from that ratio on
  double slowing_begins = 0.2;        // of the run: before it, a burst of births is start-up
  double flat_deviation = 0.13;  // largest gap between survivors and the clock they were born by …
  double flat_noise = 0.75;      // … plus this over the root of the number of survivors, bursts counted once
  double min_old_share = 0.2;    // of the run, that the births under test must span
  // Late hazard: deaths expected of one old block over the span of the growth.
  double hazard = 0.30;
  double hazard_high = 0.75;  // upper 95 % limit of the same
  // The end of a busy span.
  double idle_rate = 0.1;         // work a second, of what it was before, that counts as idle
  int64_t min_busy_ms = 20'000;   // a shorter busy span is a start-up
  int64_t min_idle_ms = 4'000;
  // Other verdicts.
  double startup_live_share = 0.8;  // of the live blocks born in the first part of the run
  double startup_births = 0.15;     // that part
  double onset_activity = 0.5;      // of the run's activity before the growth began, to call it an onset
};

}  // namespace leakhunt::verdict
