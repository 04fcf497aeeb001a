// The allocator behind ours, found once with dlsym(RTLD_NEXT), and a small arena for what dlsym itself allocates.
#pragma once

#include <cstddef>
#include <cstdint>

#include "preload/sys/hot.h"

namespace leakhunt::hooks {

// Never null: until the lookup each pointer leads to a function that does the lookup first.
struct Allocator {
  void* (*malloc)(size_t);
  void (*free)(void*);
  void* (*calloc)(size_t, size_t);
  void* (*realloc)(void*, size_t);
  int (*posix_memalign)(void**, size_t, size_t);
  void* (*aligned_alloc)(size_t, size_t);
  void* (*memalign)(size_t, size_t);
  void* (*valloc)(size_t);
  void* (*pvalloc)(size_t);
  size_t (*malloc_usable_size)(void*);
};
LEAKHUNT_HIDDEN extern constinit Allocator g_allocator;

// Looks the allocator up if that has not happened; the constructor calls it.
void FindAllocator();

inline constexpr size_t kArenaBytes = 64 * 1024;
LEAKHUNT_HIDDEN extern constinit char g_arena[kArenaBytes];
// True for blocks of the bootstrap arena: they are never given to the real allocator. They count as recorded in the
// address filter, so that only the slow path of free and realloc has to ask.
inline bool InBootstrapArena(const void* block) {
  return reinterpret_cast<uintptr_t>(block) - reinterpret_cast<uintptr_t>(g_arena) < kArenaBytes;
}
size_t BootstrapSize(const void* block);

}  // namespace leakhunt::hooks
