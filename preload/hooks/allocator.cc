#include "preload/hooks/allocator.h"

#include <dlfcn.h>
#include <elf.h>
#include <errno.h>
#include <stdint.h>

#include "preload/core/mappings.h"
#include "preload/core/tracker.h"
#include "preload/hooks/hook.h"
#include "preload/hooks/standing.h"
#include "preload/sys/atomic.h"
#include "preload/sys/hot.h"
#include "preload/sys/memory.h"
#include "preload/sys/syscall.h"

namespace leakhunt::hooks {

alignas(16) constinit char g_arena[kArenaBytes] = {};

namespace {

// ---- what dlsym allocates before the allocator is known: a few hundred bytes in practice

constinit size_t g_arena_used = 0;

void* BootstrapAligned(size_t alignment, size_t size) {
  if (alignment < 16) alignment = 16;
  for (;;) {
    size_t used = sys::LoadRelaxed(&g_arena_used);
    uintptr_t base = reinterpret_cast<uintptr_t>(g_arena);
    uintptr_t block = (base + used + 16 + alignment - 1) & ~(alignment - 1);
    if (size > kArenaBytes || block + size > base + kArenaBytes) return nullptr;
    if (!sys::CompareExchange(&g_arena_used, used, static_cast<size_t>(block + size - base))) continue;
    *reinterpret_cast<size_t*>(block - 16) = size;
    core::g_filter.Add(block);
    return reinterpret_cast<void*>(block);
  }
}

void* BootstrapMalloc(size_t size) { return BootstrapAligned(16, size); }
void BootstrapFree(void*) {}  // the arena is never given back
void* BootstrapCalloc(size_t count, size_t size) {
  size_t bytes;
  if (__builtin_mul_overflow(count, size, &bytes)) return nullptr;
  return BootstrapMalloc(bytes);  // fresh arena bytes are zero
}
void* BootstrapRealloc(void* old, size_t size) {
  void* block = BootstrapMalloc(size);
  if (block != nullptr && old != nullptr && InBootstrapArena(old)) {
    size_t had = BootstrapSize(old);
    sys::Copy(block, old, had < size ? had : size);
  }
  return block;
}
int BootstrapPosixMemalign(void** block, size_t alignment, size_t size) {
  *block = BootstrapAligned(alignment, size);
  return *block != nullptr ? 0 : ENOMEM;
}
void* BootstrapValloc(size_t size) { return BootstrapAligned(4096, size); }
size_t BootstrapUsable(void* block) { return InBootstrapArena(block) ? BootstrapSize(block) : 0; }

constexpr Allocator kBootstrap = {BootstrapMalloc, BootstrapFree, BootstrapCalloc, BootstrapRealloc,
                                  BootstrapPosixMemalign, BootstrapAligned, BootstrapAligned, BootstrapValloc,
                                  BootstrapValloc, BootstrapUsable};

// ---- before the lookup

void* FirstMalloc(size_t size) { return FindAllocator(), g_allocator.malloc(size); }
void FirstFree(void* block) { FindAllocator(), g_allocator.free(block); }
void* FirstCalloc(size_t count, size_t size) { return FindAllocator(), g_allocator.calloc(count, size); }
void* FirstRealloc(void* old, size_t size) { return FindAllocator(), g_allocator.realloc(old, size); }
int FirstPosixMemalign(void** block, size_t alignment, size_t size) {
  return FindAllocator(), g_allocator.posix_memalign(block, alignment, size);
}
void* FirstAlignedAlloc(size_t alignment, size_t size) { return FindAllocator(), g_allocator.aligned_alloc(alignment, size); }
void* FirstMemalign(size_t alignment, size_t size) { return FindAllocator(), g_allocator.memalign(alignment, size); }
void* FirstValloc(size_t size) { return FindAllocator(), g_allocator.valloc(size); }
void* FirstPvalloc(size_t size) { return FindAllocator(), g_allocator.pvalloc(size); }
size_t FirstUsable(void* block) { return FindAllocator(), g_allocator.malloc_usable_size(block); }

// ---- for libraries that lack one of the rarer functions (musl has no pvalloc)

void* PvallocByMemalign(size_t size) {
  if (size > SIZE_MAX - 4095) return nullptr;
  return g_allocator.memalign(4096, (size + 4095) & ~size_t{4095});
}
void* VallocByMemalign(size_t size) { return g_allocator.memalign(4096, size); }
void* MemalignByAligned(size_t alignment, size_t size) { return g_allocator.aligned_alloc(alignment, size); }

template <typename Function>
void Look(const char* name, Function** place, Function* otherwise) {
  auto* found = reinterpret_cast<Function*>(FindAllocatorFunction(name));
  sys::StoreRelaxed(place, found != nullptr ? found : otherwise);
}

// Address range of the object that defines the allocator, from its program headers.
void NoteAllocatorRange(void* function) {
  Dl_info info{};
  if (dladdr(function, &info) == 0 || info.dli_fbase == nullptr) return;
  const auto* header = static_cast<const Elf64_Ehdr*>(info.dli_fbase);
  uint64_t base = reinterpret_cast<uint64_t>(info.dli_fbase), end = 0;
  const auto* segments = reinterpret_cast<const Elf64_Phdr*>(base + header->e_phoff);
  uint64_t first = ~uint64_t{0};
  for (int i = 0; i < header->e_phnum; ++i) {
    if (segments[i].p_type != PT_LOAD) continue;
    if (segments[i].p_vaddr < first) first = segments[i].p_vaddr;
    uint64_t stop = segments[i].p_vaddr + segments[i].p_memsz;
    if (stop > end) end = stop;
  }
  if (end > first) core::SetAllocatorRange(base, base + (end - (first & ~uint64_t{4095})));
}

constinit uint32_t g_looking = 0;

}  // namespace

LEAKHUNT_HOT_ALLOCATOR Allocator g_allocator = {FirstMalloc, FirstFree, FirstCalloc, FirstRealloc, FirstPosixMemalign,
                                   FirstAlignedAlloc, FirstMemalign, FirstValloc, FirstPvalloc, FirstUsable};

size_t BootstrapSize(const void* block) { return *reinterpret_cast<const size_t*>(static_cast<const char*>(block) - 16); }

void FindAllocator() {
  if (!sys::CompareExchange(&g_looking, 0u, 1u)) return;  // before there are threads, so a second comer is dlsym itself
  int saved = errno;
  ++core::t_local.busy;
  g_allocator = kBootstrap;
  Allocator found = kBootstrap;
  Look("malloc", &found.malloc, kBootstrap.malloc);
  Look("free", &found.free, kBootstrap.free);
  Look("calloc", &found.calloc, kBootstrap.calloc);
  Look("realloc", &found.realloc, kBootstrap.realloc);
  // From here dlsym's own failures (it allocates its message) go to the real allocator.
  g_allocator.malloc = found.malloc;
  g_allocator.free = found.free;
  g_allocator.calloc = found.calloc;
  g_allocator.realloc = found.realloc;
  Look("posix_memalign", &g_allocator.posix_memalign, kBootstrap.posix_memalign);
  Look("aligned_alloc", &g_allocator.aligned_alloc, kBootstrap.aligned_alloc);
  Look("memalign", &g_allocator.memalign, MemalignByAligned);
  Look("valloc", &g_allocator.valloc, VallocByMemalign);
  Look("pvalloc", &g_allocator.pvalloc, PvallocByMemalign);
  Look("malloc_usable_size", &g_allocator.malloc_usable_size, kBootstrap.malloc_usable_size);
  NoteAllocatorRange(reinterpret_cast<void*>(found.malloc));
  if (const void* word = dlsym(RTLD_DEFAULT, "__libc_single_threaded"); word != nullptr) {
    sys::StoreRelaxed(&sys::g_single_threaded, static_cast<const char*>(word));
  }
  --core::t_local.busy;
  errno = saved;
}

}  // namespace leakhunt::hooks
