// Verdicts made into findings: graded, explained, and grouped where several sites leak together.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "viewer/judged.h"

namespace leakhunt::viewer {

enum class Severity { kCritical, kHigh, kMedium, kLow };
const char* SeverityName(Severity severity);  // "critical", …

// Of one cause of growth alone: by how soon it would meet its own limit.
Severity SeverityOf(const verdict::GrowthCause& cause);

struct Finding {
  Severity severity = Severity::kLow;
  std::vector<size_t> sites;  // indices into Judged.sites, fastest first; more than one: they leak together
  std::string title;          // "memory leaks in handle_request server.cc:42"
  std::string impact;         // rate, share of the growth, time to the limit
  std::string since;          // "the start, …", "about 2024-05-01 12:00:00 UTC"
  std::string advice;         // what to look at first
  std::string together;       // why several sites are one finding; empty for one
  std::optional<double> share;  // of the process's leaked bytes (or handles) a second
  double rate_per_s = 0;
};

// Leaking sites, and those that grow without proof; worst first. `sites`: which of the judged ones count (after --filter).
std::vector<Finding> MakeFindings(const Judged& judged, const std::vector<size_t>& sites, Loaded& loaded);

// The frame a finding names: the program's first own frame that is not a wrapper around malloc.
const ResolvedFrame* BlamedFrame(const ResolvedStack& stack);

// "No leak found …": what can be said when there is no finding of a leak.
std::string AllClear(const Judged& judged);

}  // namespace leakhunt::viewer
