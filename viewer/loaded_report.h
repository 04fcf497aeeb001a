// Everything a command needs of a recording: the chosen snapshot (or the sum over a run), growth, verdicts, symbols.
#pragma once

#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "collector/base/result.h"
#include "viewer/command.h"
#include "viewer/growth.h"
#include "viewer/resolve.h"
#include "viewer/selection.h"

namespace leakhunt::viewer {

// The name of each site's verdict.
using VerdictNames = std::unordered_map<SiteKey, std::string>;

struct Loaded {
  std::unique_ptr<snapshot::Snapshot> snapshot;  // what the report is about; with --all the sum
  std::vector<ChosenSnapshot> chosen;            // where it comes from, one a process
  GrowthRates growth;
  VerdictNames verdicts;                         // with a history
  std::unique_ptr<Resolver> resolver;            // of *snapshot
};

// Snapshots of the past that growth is measured on, at most.
inline constexpr size_t kHistory = 32;

// Reads what the options name. `history`: snapshots to measure growth on; 1 = none of the past is read.
Result<Loaded> Load(Context& context, size_t history);

// The same of what was chosen already.
Loaded LoadChosen(std::vector<ChosenSnapshot> chosen, Context& context, size_t history);

// Notes of the symbolizer, each on one line of context.err.
void SayWarnings(const Resolver& resolver, Context& context);

}  // namespace leakhunt::viewer
