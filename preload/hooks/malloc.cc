// The malloc family. Ours never decides anything: count down, call the real one, tell the tracker when it is due.
#include <errno.h>
#include <stddef.h>
#include <stdint.h>

#include "preload/core/tracker.h"
#include "preload/hooks/allocator.h"
#include "preload/hooks/hook.h"
#include "preload/sys/memory.h"

namespace leakhunt::hooks {
namespace {

uint64_t Address(const void* block) { return reinterpret_cast<uint64_t>(block); }

// After the real call. `skip`: what CountDown said.
[[gnu::always_inline]] inline void* Allocated(void* block, size_t size, bool skip) {
  if (__builtin_expect(skip, 1)) {
    if (core::MayBeRecorded(Address(block))) core::RetireStaleSlow(Address(block));
  } else if (block != nullptr) {
    core::BlockBornSlow(Address(block), size);
  }
  return block;
}

// False: the block is the bootstrap arena's and must not reach the real allocator.
[[gnu::noinline]] bool FreedSlow(void* block) {
  if (InBootstrapArena(block)) return false;
  core::BlockFreedSlow(Address(block));
  return true;
}

[[gnu::noinline]] void* ReallocateSlow(void* old, size_t size, bool skip) {
  if (InBootstrapArena(old)) {
    void* block = g_allocator.malloc(size);
    size_t had = BootstrapSize(old);
    if (block != nullptr) sys::Copy(block, old, had < size ? had : size);
    return Allocated(block, size, skip);
  }
  core::Resize resize = core::ResizeBeginSlow(Address(old));
  void* block = g_allocator.realloc(old, size);
  core::ResizeOutcome outcome = core::ResizeOutcome::kMoved;
  // A null result frees the old block only for size 0 (glibc); otherwise the old block stands.
  if (block == nullptr) outcome = size == 0 ? core::ResizeOutcome::kFreed : core::ResizeOutcome::kFailed;
  core::ResizeEndSlow(resize, outcome, Address(block), size, !skip);
  return block;
}

}  // namespace
}  // namespace leakhunt::hooks

using namespace leakhunt;
using hooks::g_allocator;

LEAKHUNT_HOOK void* malloc(size_t size) {
  bool skip = core::CountDown(size);
  return hooks::Allocated(g_allocator.malloc(size), size, skip);
}

LEAKHUNT_HOOK void free(void* block) {
  if (core::MayBeRecorded(hooks::Address(block)) && !hooks::FreedSlow(block)) return;
  g_allocator.free(block);
}

LEAKHUNT_HOOK void* calloc(size_t count, size_t size) {
  size_t bytes;
  if (__builtin_mul_overflow(count, size, &bytes)) return g_allocator.calloc(count, size);  // fails there, errno and all
  bool skip = core::CountDown(bytes);
  return hooks::Allocated(g_allocator.calloc(count, size), bytes, skip);
}

LEAKHUNT_HOOK void* realloc(void* old, size_t size) {
  bool skip = core::CountDown(size);
  if (old == nullptr) return hooks::Allocated(g_allocator.realloc(old, size), size, skip);
  if (!skip || core::MayBeRecorded(hooks::Address(old))) return hooks::ReallocateSlow(old, size, skip);
  void* block = g_allocator.realloc(old, size);
  if (block != old && core::MayBeRecorded(hooks::Address(block))) core::RetireStaleSlow(hooks::Address(block));
  return block;
}

LEAKHUNT_HOOK void* reallocarray(void* old, size_t count, size_t size) {
  size_t bytes;
  if (__builtin_mul_overflow(count, size, &bytes)) {
    errno = ENOMEM;
    return nullptr;
  }
  return realloc(old, bytes);
}

LEAKHUNT_HOOK int posix_memalign(void** result, size_t alignment, size_t size) {
  bool skip = core::CountDown(size);
  int error = g_allocator.posix_memalign(result, alignment, size);
  if (error == 0) hooks::Allocated(*result, size, skip);
  return error;
}

LEAKHUNT_HOOK void* aligned_alloc(size_t alignment, size_t size) {
  bool skip = core::CountDown(size);
  return hooks::Allocated(g_allocator.aligned_alloc(alignment, size), size, skip);
}

LEAKHUNT_HOOK void* memalign(size_t alignment, size_t size) {
  bool skip = core::CountDown(size);
  return hooks::Allocated(g_allocator.memalign(alignment, size), size, skip);
}

LEAKHUNT_HOOK void* __libc_memalign(size_t alignment, size_t size) { return memalign(alignment, size); }

LEAKHUNT_HOOK void* valloc(size_t size) {
  bool skip = core::CountDown(size);
  return hooks::Allocated(g_allocator.valloc(size), size, skip);
}

LEAKHUNT_HOOK void* pvalloc(size_t size) {
  bool skip = core::CountDown(size);
  return hooks::Allocated(g_allocator.pvalloc(size), size, skip);
}

LEAKHUNT_HOOK void cfree(void* block) { free(block); }

// C23 7.24.3.4, .5: as free, with a promise about the size.
LEAKHUNT_HOOK void free_sized(void* block, size_t) { free(block); }
LEAKHUNT_HOOK void free_aligned_sized(void* block, size_t, size_t) { free(block); }

LEAKHUNT_HOOK size_t malloc_usable_size(void* block) {
  if (hooks::InBootstrapArena(block)) return hooks::BootstrapSize(block);
  return g_allocator.malloc_usable_size(block);
}
