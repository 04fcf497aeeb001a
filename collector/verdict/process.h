// The whole process: what RSS is made of, which part grows, whether that is a leak, and when it meets a limit.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "collector/snapshot/model.h"
#include "collector/verdict/verdict.h"

namespace leakhunt::verdict {

enum class GrowthClass : uint8_t { kNone, kHeap, kMapping, kHandle, kThread, kFragmentation, kFileCache, kNotOurs };
const char* GrowthClassName(GrowthClass growth);  // "none", "heap", …, "fragmentation", "file-cache", "not-ours"

// One part of RSS. The parts add up to RSS; the last, "other", is what has no name and may be negative by rounding.
struct MemoryPart {
  const char* name = "";  // "live heap" "allocator slack" "mappings" "stacks" "files" "page tables" "leakhunt" "other"
  double bytes = 0;       // at the last point
  snapshot::Estimate rate_per_s;
};

struct TimeToLimit {
  std::string kind;       // "cgroup" "RLIMIT_AS" "RLIMIT_NOFILE" "machine"
  double limit = 0;       // bytes, or handles
  double used = 0;
  double seconds = 0;     // at the present rate
  double low_s = 0;       // range from the limits of the rate
  std::optional<double> high_s;  // absent: the slowest rate never gets there
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
  snapshot::Estimate handles_per_s;
  std::vector<MemoryPart> parts;         // at the last point where RSS was taken apart; empty when it never was
  std::optional<TimeToLimit> limit;      // the first to be met
  int leaking_sites = 0;
  std::string text;                      // one sentence
};

// `vitals`: of the whole recording, in time order, the last snapshot's included. `limits`: of the last snapshot.
ProcessVerdict JudgeProcess(const std::vector<snapshot::VitalsPoint>& vitals, const struct snapshot::Limits& limits,
                            const std::vector<JudgedSite>& sites);

}  // namespace leakhunt::verdict
