// Which judged sites a report is about, and in which order: --filter and --sort on verdicts.
#pragma once

#include <string>
#include <vector>

#include "viewer/judged.h"

namespace leakhunt::viewer {

// Indices into judged.sites. Without --sort the most serious first. Error (exit code 2): a bad --filter.
Result<std::vector<size_t>> SitesOf(const Judged& judged, Loaded& loaded, const Options& options);

// "process: leaking 2.0 MiB/min …", one line a process, and what its RSS is made of.
std::vector<std::string> ProcessLines(const Judged& judged);

// "4 leaking, 1 growing-unproven, 120 bounded, …", counted over `sites`.
std::string VerdictCounts(const Judged& judged, const std::vector<size_t>& sites);

}  // namespace leakhunt::viewer
