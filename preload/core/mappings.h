// The program's own mappings (mmap, munmap, mremap) as recorded blocks. Always exact: a mapping costs a system call.
//
// Address ranges in a sorted private array under a short lock; never held across the real call. Slow enough to lock,
// rare enough to walk a stack each time.
#pragma once

#include <cstdint>

namespace leakhunt::core {

// What a taken-out range was, for putting it back or moving it.
struct MappingOrigin {
  uint32_t stack = 0;
  uint32_t birth_tick = 0;
  bool known = false;
};

// After a successful mmap. Whatever the table held in that range is gone (MAP_FIXED).
void MappingBorn(uint64_t start, uint64_t bytes);
// Before munmap: takes the range out, splitting what it cuts. Returns the origin of the first part.
MappingOrigin MappingTaken(uint64_t start, uint64_t bytes);
// After mremap, or after a munmap that failed: the range stands at `start` with an old origin.
void MappingPut(uint64_t start, uint64_t bytes, const MappingOrigin& origin);

// Bytes of the recorded range that starts at `start`; 0 when there is none.
uint64_t MappingBytesAt(uint64_t start);

// Addresses of the allocator's own code: mappings it makes are its business, their contents are counted as heap.
void SetAllocatorRange(uint64_t start, uint64_t end);

void MappingsAfterFork();

// All records end: what became of their ranges is not known.
void ForgetMappings();

}  // namespace leakhunt::core
