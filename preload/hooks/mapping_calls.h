// mmap, munmap and mremap around whatever really does them: libc's function, or syscall(2). An allocator may stand in
// between (tcmalloc's munmap calls syscall), so each hook calls on in its own way and none calls another hook.
#pragma once

#include <cstddef>
#include <cstdint>

#include <sys/mman.h>

#include "preload/core/mappings.h"
#include "preload/core/tracker.h"

namespace leakhunt::hooks {

template <typename Call>
inline void* MapBy(size_t bytes, Call call) {
  void* mapped = call();
  if (mapped == MAP_FAILED) return mapped;
  core::MappingBorn(reinterpret_cast<uint64_t>(mapped), bytes);
  core::RetireUnderMapping(reinterpret_cast<uint64_t>(mapped), bytes);
  return mapped;
}

template <typename Call>
inline int UnmapBy(void* at, size_t bytes, Call call) {
  const uint64_t start = reinterpret_cast<uint64_t>(at);
  if (bytes == 0 || (start & 4095) != 0) return call();  // the kernel refuses at once: nothing changes
  core::MappingOrigin origin = core::MappingTaken(start, bytes);
  int result = call();
  if (result != 0) core::MappingPut(start, bytes, origin);
  return result;
}

template <typename Call>
inline void* RemapBy(void* old, size_t old_bytes, size_t new_bytes, int flags, Call call) {
  constexpr int kDontUnmap = 4;  // MREMAP_DONTUNMAP: the old range stays mapped
  const uint64_t start = reinterpret_cast<uint64_t>(old);
  bool stays = old_bytes == 0 || (flags & kDontUnmap) != 0;
  core::MappingOrigin origin;
  if (!stays) origin = core::MappingTaken(start, old_bytes);
  void* mapped = call();
  if (mapped == MAP_FAILED) {
    if (!stays) core::MappingPut(start, old_bytes, origin);
  } else if (origin.known) {
    core::MappingPut(reinterpret_cast<uint64_t>(mapped), new_bytes, origin);
  } else {
    core::MappingBorn(reinterpret_cast<uint64_t>(mapped), new_bytes);
  }
  return mapped;
}

}  // namespace leakhunt::hooks
