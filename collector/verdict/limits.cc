#include "collector/verdict/limits.h"

#include <algorithm>

namespace leakhunt::verdict {

void LimitOffers::Offer(const char* kind, uint64_t limit, uint64_t used, const snapshot::Estimate& rate) {
  if (limit == 0 || rate.value <= 0) return;
  const double left = static_cast<double>(limit - std::min(limit, used));
  TimeToLimit offer{kind, static_cast<double>(limit), static_cast<double>(used), left / rate.value,
                    left / std::max(rate.value, rate.high), std::nullopt};
  if (rate.low > 0) offer.high_s = left / rate.low;
  if (!first_ || offer.seconds < first_->seconds) first_ = offer;
}

void LimitOffers::Memory(const snapshot::Estimate& rate_per_s) {
  Offer("cgroup", limits_.cgroup_bytes, now_.cgroup_bytes > 0 ? now_.cgroup_bytes : now_.rss_bytes, rate_per_s);
  if (limits_.machine_available_bytes == 0) return;
  const uint64_t available = std::min(limits_.machine_available_bytes, limits_.machine_bytes);
  Offer("machine", limits_.machine_bytes, limits_.machine_bytes - available, rate_per_s);
}

void LimitOffers::AddressSpace(const snapshot::Estimate& rate_per_s) {
  Offer("RLIMIT_AS", limits_.address_space_bytes, now_.virtual_bytes, rate_per_s);
}

void LimitOffers::Threads(const snapshot::Estimate& rate_per_s) {
  Offer("pids.max", limits_.cgroup_tasks, std::max(now_.cgroup_tasks, now_.threads), rate_per_s);
  Offer("RLIMIT_NPROC", limits_.user_tasks, std::max(now_.user_tasks, now_.threads), rate_per_s);
}

void LimitOffers::Handles(const snapshot::Estimate& rate_per_s) {
  Offer("RLIMIT_NOFILE", limits_.open_handles, now_.open_handles, rate_per_s);
}

bool LimitsHandles(const TimeToLimit& limit) { return limit.kind == "RLIMIT_NOFILE"; }
bool LimitsThreads(const TimeToLimit& limit) { return limit.kind == "pids.max" || limit.kind == "RLIMIT_NPROC"; }

bool IsLeakOfMemory(GrowthClass growth) {
  return growth == GrowthClass::kHeap || growth == GrowthClass::kMapping || growth == GrowthClass::kThread;
}

const TimeToLimit* SoonestOfLeaks(const ProcessVerdict& process, bool handles) {
  const TimeToLimit* soonest = nullptr;
  for (const GrowthCause& cause : process.causes) {
    const bool wanted = handles ? cause.growth == GrowthClass::kHandle : IsLeakOfMemory(cause.growth);
    if (!cause.limit || !wanted) continue;
    if (soonest == nullptr || cause.limit->seconds < soonest->seconds) soonest = &*cause.limit;
  }
  return soonest;
}

}  // namespace leakhunt::verdict
