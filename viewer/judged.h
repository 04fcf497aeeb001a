// The verdicts of a report: every site of the chosen snapshot judged over its whole recording, and the process.
#pragma once

#include <iosfwd>
#include <string>
#include <utility>
#include <vector>

#include "collector/verdict/process.h"
#include "viewer/loaded_report.h"
#include "viewer/site_key.h"

namespace leakhunt::viewer {

struct JudgedSite {
  SiteKey key;
  bool handles = false;
  std::string type;       // "heap", "mmap", "thread", or the type of the handles
  uint32_t stack = 0;     // index into the report's snapshot
  std::string scope;
  snapshot::Weighted live;  // bytes, or open handles
  snapshot::Weighted live_count, total_bytes, total_count;
  double reserved_bytes = 0;        // address space of mappings and threads
  uint64_t opened = 0, closed = 0;  // handles
  int64_t first_seen_ms = 0, last_seen_ms = 0, oldest_birth_ms = 0;
  verdict::SiteVerdict verdict;
  std::vector<std::pair<int64_t, double>> points;  // time, live; thinned
};

struct JudgedProcess {
  snapshot::ProcessInfo process;
  verdict::ProcessVerdict verdict;
};

struct Judged {
  std::vector<JudgedSite> sites;         // in no order
  std::vector<JudgedProcess> processes;  // one; with --all one a process
};

// Snapshots a verdict is taken from, at most; of more, evenly spread ones.
inline constexpr size_t kTrendSnapshots = 1000;
inline constexpr size_t kVerdictSnapshots = 200;

// Reads the recordings file by file; only figures are kept. What cannot be read is named on `err` and left out. With
// --all a site that several processes have gets the most serious of its verdicts and the sum of its rates.
Judged JudgeRecordings(const Loaded& loaded, size_t at_most, std::ostream& err);

// For the reports that show verdicts in a column.
VerdictNames NamesOf(const Judged& judged);

// How serious: leaking first, then onset, growing-unproven, … inconclusive, bounded.
int Concern(verdict::Verdict verdict);
// The more serious of two verdicts by name; "inconclusive" gives way to any.
std::string WorseOf(const std::string& a, const std::string& b);

// Most serious first, then fastest.
bool MoreSerious(const JudgedSite& a, const JudgedSite& b);

}  // namespace leakhunt::viewer
