// Which limit a process meets first, and when. Memory counts against cgroup and machine, address space against RLIMIT_AS
// alone, threads against pids.max and RLIMIT_NPROC, descriptors against RLIMIT_NOFILE.
#pragma once

#include "collector/snapshot/model.h"
#include "collector/verdict/process.h"

namespace leakhunt::verdict {

class LimitOffers {
 public:
  // `now`: the newest vitals. Both must outlive this.
  LimitOffers(const snapshot::VitalsPoint& now, const struct snapshot::Limits& limits) : now_(now), limits_(limits) {}

  // Each: what grows, a second. What does not grow meets no limit.
  void Memory(const snapshot::Estimate& rate_per_s);
  void AddressSpace(const snapshot::Estimate& rate_per_s);
  void Threads(const snapshot::Estimate& rate_per_s);
  void Handles(const snapshot::Estimate& rate_per_s);

  const std::optional<TimeToLimit>& First() const { return first_; }

 private:
  void Offer(const char* kind, uint64_t limit, uint64_t used, const snapshot::Estimate& rate_per_s);

  const snapshot::VitalsPoint& now_;
  const struct snapshot::Limits& limits_;
  std::optional<TimeToLimit> first_;
};

// The leaks that are of memory: of blocks, mappings or threads.
bool IsLeakOfMemory(GrowthClass growth);

// The soonest limit among leaks of memory and threads, or of handles; null when there is none.
const TimeToLimit* SoonestOfLeaks(const ProcessVerdict& process, bool handles);

}  // namespace leakhunt::verdict
