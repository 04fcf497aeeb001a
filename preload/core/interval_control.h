// Which sampling interval spends the budget: the control law of the governor, without clock, counters or process.
//
// Cost at the interval T is c(T) = heap visits x their unit cost, as a share of the process's own CPU time. Visits go
// as 1/T, so the interval that spends exactly the budget b is T·c(T)/b. From exact mode, where blocks count and not
// bytes, it is T = 2·B·u/b: B bytes allocated per ns of CPU, u the unit cost in ns, two visits (birth and death) per
// block.
//
// What no interval makes cheaper is taken off the budget first: what the hooks do for blocks that are not sampled, up
// to half of the budget; and descriptors and mappings, which are never sampled, up to fifteen sixteenths of it.
//
// Example: a budget of 1 %, T = 64 KiB, 2,000 heap visits of 800 ns in 0.1 s of CPU. Cost = 1.6 %, so T becomes 102
// KiB.
#pragma once

#include <cstdint>

namespace leakhunt::core {

inline constexpr uint64_t kPassedBlockNs =
    4;  // of an allocation and a free that are not sampled (scripts/bench handles)

// What was counted since the last choice. All times in ns.
struct CostReading {
  double cpu_ns = 0;         // of the process, user and system; more than 0
  double elapsed_s = 0;      // wall time, in seconds; more than 0
  double heap_visits = 0;    // slow visits for heap blocks: births and deaths
  double other_visits = 0;   // slow visits for descriptors and mappings
  double passed_blocks = 0;  // allocations that were not sampled, by the weights of those that were
  double bytes = 0;          // allocated
  double heap_unit_ns = 0;   // mean cost of a heap visit
  double other_unit_ns = 0;  // mean cost of another visit
};

// The next mean sampling interval in bytes; 1 is exact mode. Returns `now_bytes` where a change would gain too little:
// the budget is a bound, so a cost 5 % above it is corrected, and one below it by less than two fifths stays. A change
// is at most by a factor of four. `budget`: share of CPU time, 0.01 for 1 %; more than 0.
uint64_t NextInterval(const CostReading& reading, double budget, uint64_t now_bytes);

}  // namespace leakhunt::core
