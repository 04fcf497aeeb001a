// What the user asked leakhunt-report for, after parsing and before anything is read.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "collector/base/result.h"

namespace leakhunt::viewer {

enum class Sort { kLiveBytes, kLiveCount, kTotalBytes, kGrowth, kAge };
enum class By { kSite, kFunction, kFile, kModule, kThread, kType, kScope, kPeer, kPattern };

struct Options {
  std::vector<std::string> paths;   // positional arguments after the command
  std::string format;               // one of the command's formats
  size_t limit = 0;                 // rows; 0 = all
  bool limit_given = false;
  Sort sort = Sort::kLiveBytes;
  By by = By::kSite;
  std::vector<std::string> patterns;  // NAME=REGEX, for --by pattern and for growth by category
  std::string filter;               // regular expression over frames, labels and scopes; empty = none
  std::string snapshot = "last";    // what which_snapshot.h takes
  bool symbols = true;
  std::vector<std::string> debug_dirs;
  std::string sysroot;
  std::string output;               // file; empty = standard output
  int pid = 0;                      // 0 = by the selection rules
  bool all = false;                 // sum the processes of the run
  bool untracked = false;           // handles: list open ones without a call site too
  int64_t min_age_ms = 0;           // handles: only those open for at least this long
  bool full_stacks = false;         // text: every frame
  bool handles = false;             // export, flamegraph: handles instead of memory
  std::string value;                // export: the value of formats that have room for one; empty = the default
  std::string fail_on;              // findings: verdict that makes the exit status 3; empty = none
};

// Rows to show of `rows`: --limit; without it 20 in text and Markdown, all in JSON and CSV.
size_t RowsShown(const Options& options, size_t rows);

// Which options a command takes; the rest is a usage error for it.
enum OptionMask : uint32_t {
  kSelect = 1u << 0,     // --snapshot
  kPick = 1u << 1,       // --pid --all
  kRank = 1u << 2,       // --limit --sort
  kGroup = 1u << 3,      // --by
  kFilter = 1u << 4,     // --filter
  kSymbols = 1u << 5,    // --symbols --debug-dir --sysroot
  kStacks = 1u << 6,     // --full-stacks
  kHandles = 1u << 7,    // --untracked --min-age
  kFailOn = 1u << 8,     // --fail-on
  kLimitOnly = 1u << 9,  // --limit alone
  kMemoryOrHandles = 1u << 16,  // --handles
  kValue = 1u << 17,            // --value
  kPattern = 1u << 18,          // --pattern
};

// "250ms", "30s", "5m", "2h", "1d"; a bare number is seconds. Milliseconds; an error names the text.
Result<int64_t> ParseDuration(const std::string& text);

}  // namespace leakhunt::viewer
