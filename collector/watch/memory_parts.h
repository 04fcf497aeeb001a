// Resident memory of one moment taken apart: each page is in one part, and the parts add up to RSS.
//
// What the kernel classes (files, shared memory, stacks) is taken from it. Anonymous memory is parted by what the ledger
// knows: the program's own mappings by their pages, then the live heap, then what the allocator holds beyond it. That
// last part cannot exceed what was ever asked of the allocator: the rest is memory that no hook saw being handed out
// (an allocator inside the executable, mappings made by bare system calls).
#pragma once

#include <cstdint>
#include <vector>

#include "collector/ledger/ledger.h"
#include "collector/watch/resident_pages.h"

namespace leakhunt::watch {

struct MemoryParts {
  double heap_live_bytes = 0;  // of the live heap, what can be in memory
  double slack_bytes = 0;      // the allocator's beyond it: free blocks, rounding, fragmentation
  double unseen_bytes = 0;     // anonymous, of no mapping and no allocation that was seen
  double mapped_bytes = 0;     // anonymous pages of the program's own mappings
  double stack_bytes = 0, file_bytes = 0, shared_bytes = 0, leakhunt_bytes = 0;
};

struct HeapFigures {
  double live_bytes = 0;
  double total_bytes = 0, total_count = 0;  // ever handed out, as far as it was seen
  bool hidden = false;    // allocations are not seen at all, or not recorded
  bool inherited = false; // a fork's: what its parent had handed out is not in the totals
  uint64_t own_private_bytes = 0;  // leakhunt's memory outside its shared pages
};

MemoryParts TakeApart(const ResidentPages& pages, const std::vector<ledger::AddressRange>& mappings,
                      const HeapFigures& heap);

}  // namespace leakhunt::watch
