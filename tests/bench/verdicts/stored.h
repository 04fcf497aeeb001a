// Site histories recorded from real programs, kept as text: one line a site, point, cohort set or cohort.
//
//   site NAME leak|not-leak|insufficient exact|sampled bytes|handles START_MS
//   p TIME ACTIVITY LIVE VARIANCE COUNT BORN FREED L0,L1,…   a point; times in ms since START_MS; lifetimes until the last that is not 0
//   e TIME                                                   the cohorts that follow were live at that earlier point
//   n                                                        the cohorts that follow are those of the last point
//   c FROM TO SAMPLES BYTES COUNT                            a cohort
#pragma once

#include <iosfwd>
#include <string>
#include <vector>

#include "tests/bench/verdicts/corpus.h"

namespace leakhunt::corpus {

void Store(const Labelled& labelled, std::ostream& out);

// Every site of one file; `error` says the first line that is not understood, and nothing is returned.
std::vector<Labelled> ReadStored(std::istream& in, std::string& error);

}  // namespace leakhunt::corpus
