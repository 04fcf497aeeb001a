// The rows of handles: handle sites filtered by age and text, grouped and ranked as the options say.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "collector/snapshot/model.h"
#include "viewer/loaded_report.h"

namespace leakhunt::viewer {

struct HandleRow {
  std::string group;  // what --by grouped on; empty with --by site
  std::string type;   // of the contract's list; "several" in a group of several
  uint32_t stack = 0;
  uint64_t open = 0, opened = 0, closed = 0, peak = 0;
  std::optional<double> growth;  // handles a second
  int64_t oldest_birth_ms = 0;   // 0 = none open
  std::string verdict = "inconclusive";
  std::vector<snapshot::HandleExample> examples;
  uint64_t largest_part = 0;
};

// Errors: a bad --filter, a --by that handles do not have (exit code 2).
Result<std::vector<HandleRow>> HandleRows(Loaded& loaded, const Options& options);

// "10.0.0.2" of "tcp 10.0.0.1:80 -> 10.0.0.2:5555 established"; the path of a named socket; "" when there is no peer.
std::string PeerOf(const std::string& label);

// Kernel's count by type: of the snapshot, or counted from its rows where that is missing.
std::vector<std::pair<std::string, uint64_t>> OpenByType(const snapshot::Snapshot& snapshot);

// Growth of all handle sites together over what is left to the limit. nullopt: no limit, or not growing.
std::optional<double> SecondsToHandleLimit(const Loaded& loaded);

// RLIMIT_NOFILE; 0 unknown.
uint64_t HandleLimit(const snapshot::Snapshot& snapshot);

}  // namespace leakhunt::viewer
