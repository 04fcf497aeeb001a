// The whole process: what RSS is made of, which part grows, whether that is a leak, and when it meets a limit.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "collector/snapshot/model.h"
#include "collector/verdict/verdict.h"

namespace leakhunt::verdict {

enum class GrowthClass : uint8_t {
  kNone, kHeap, kMapping, kHandle, kThread, kFragmentation, kFileCache, kNotOurs, kHeapNotSeen, kSharedMemory,
};
const char* GrowthClassName(GrowthClass growth);  // "none", "heap", …, "fragmentation", "file-cache", "heap-not-seen", …

// One part of RSS. All but "page tables", which the kernel holds, add up to RSS at the moment it was taken apart.
struct MemoryPart {
  // "live heap" "allocator slack" "heap not seen" "mappings" "stacks" "files" "shared memory" "page tables" "leakhunt" "other"
  const char* name = "";
  double bytes = 0;       // at the last point
  snapshot::Estimate rate_per_s;
};

struct TimeToLimit {
  std::string kind;       // "cgroup" "RLIMIT_AS" "RLIMIT_NOFILE" "machine" "pids.max" "RLIMIT_NPROC"
  double limit = 0;       // bytes; handles; threads
  double used = 0;
  double seconds = 0;     // at the present rate
  double low_s = 0;       // range from the limits of the rate
  std::optional<double> high_s;  // absent: the slowest rate never gets there
};

// Whether what `kind` limits is counted, and not bytes.
bool LimitsHandles(const TimeToLimit& limit);  // "RLIMIT_NOFILE"
bool LimitsThreads(const TimeToLimit& limit);  // "pids.max", "RLIMIT_NPROC"

// One thing that makes the process grow, with a limit of its own: what it would meet if nothing else grew.
struct GrowthCause {
  GrowthClass growth = GrowthClass::kNone;
  snapshot::Estimate rate_per_s;  // bytes; handles with kHandle, threads where the limit is of threads
  std::optional<TimeToLimit> limit;
};

// A judged site, as the process verdict needs it.
struct JudgedSite {
  bool handles = false;
  snapshot::SiteKind kind = snapshot::SiteKind::kHeap;
  SiteVerdict verdict;
};

struct ProcessVerdict {
  Verdict verdict = Verdict::kInconclusive;
  double confidence = 0;
  GrowthClass growth = GrowthClass::kNone;
  snapshot::Estimate rate_per_s;         // bytes; of the leaking sites when there are any, else of RSS
  std::vector<GrowthCause> causes;       // leaks by kind, and parts of RSS that grow beside them; the largest bytes first
  snapshot::Estimate handles_per_s;
  std::vector<MemoryPart> parts;         // at the last point where RSS was taken apart; empty when it never was
  std::optional<TimeToLimit> limit;      // the first to be met
  int leaking_sites = 0;
  int64_t active_until_ms = 0;           // of a leak, when the process went idle; 0 = it works on
  std::string text;                      // one sentence
};

// `vitals`: of the whole recording, in time order, the last snapshot's included. `limits`: of the last snapshot.
ProcessVerdict JudgeProcess(const std::vector<snapshot::VitalsPoint>& vitals, const struct snapshot::Limits& limits,
                            const std::vector<JudgedSite>& sites);

}  // namespace leakhunt::verdict
