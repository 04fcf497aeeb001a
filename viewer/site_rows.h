// The rows of top-sites: sites filtered, grouped and ranked as the options say. Not yet cut to --limit.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "collector/snapshot/model.h"
#include "viewer/loaded_report.h"

namespace leakhunt::viewer {

struct SiteRow {
  std::string group;  // what --by grouped on; empty with --by site
  snapshot::SiteKind kind = snapshot::SiteKind::kHeap;
  uint32_t stack = 0;  // of a group: that of its largest site
  std::string scope;
  snapshot::Weighted live_bytes, live_count, total_bytes, total_count;
  double reserved_bytes = 0;       // address space of mappings and threads
  bool totals_known = true;        // threads share live blocks, not totals
  std::optional<double> growth;    // bytes a second
  int64_t first_seen_ms = 0, last_seen_ms = 0, oldest_birth_ms = 0;
  std::string verdict = "inconclusive";  // of a group: the most serious
  double largest_part = -1;        // live bytes of the site whose stack is shown
};

// Scopes and inherited blocks of one stack are one row, unless --by scope. Errors: a bad --filter (exit code 2).
Result<std::vector<SiteRow>> SiteRows(Loaded& loaded, const Options& options);

// The order of --sort growth before the rate itself: growth judged a leak, growth not decided on, growth that ends.
int GrowthTier(const std::string& verdict);

// Sum over all sites, before filter and limit.
SiteRow SumOfSites(const snapshot::Snapshot& snapshot);

}  // namespace leakhunt::viewer
