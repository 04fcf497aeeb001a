// Processes of a run, each judged by itself: what findings, summary and --fail-on look at.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "viewer/categories.h"
#include "viewer/findings.h"
#include "viewer/judged.h"

namespace leakhunt::viewer {

// One process (with --all: the sum of the run) and everything that a report of its findings says.
struct ProcessFindings {
  Loaded loaded;
  Judged judged;
  std::vector<size_t> sites;  // of judged.sites, after --filter, most serious first
  std::vector<CategoryGrowth> categories;
  std::vector<Finding> findings;  // worst first
};

// How serious a process is, to put the worst first. Plain values: the process itself need not be kept.
struct Seriousness {
  int severity = 0;       // of its worst finding, as Severity; one more than the mildest for none
  int concern = 0;        // of the process verdict (judged.h)
  double rate_per_s = 0;  // bytes
  bool operator<(const Seriousness& other) const;  // more serious
};
Seriousness SeriousnessOf(const ProcessFindings& process);

// Judges what the options mean, one after the other, and hands each to `report`, which may keep or move it: one with
// --pid, with --all or of a single file; else every process of the newest run, images that another one replaced left
// out. A process without the snapshot that --snapshot names is told on `context.err` and left out. Error: none is left,
// the options are bad, or what `report` returned.
Status ForEachProcess(Context& context, const std::function<Status(ProcessFindings&)>& report);

// A proven leak, in memory or in descriptors.
bool Leaks(const ProcessFindings& process);
// --fail-on: some site has the verdict, or a more serious one. A leak that began in mid-run is a leak.
bool Meets(const ProcessFindings& process, const std::string& fail_on);

}  // namespace leakhunt::viewer
