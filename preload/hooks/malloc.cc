// The malloc family. Ours never decides anything: count down, call the real one, tell the tracker when it is due.
#include <errno.h>
#include <stddef.h>
#include <stdint.h>

#include "preload/core/tracker.h"
#include "preload/hooks/allocator.h"
#include "preload/hooks/attachment.h"
#include "preload/hooks/hook.h"
#include "preload/sys/hot.h"
#include "preload/sys/memory.h"
#include "preload/unwind/unwinder.h"

namespace leakhunt::hooks {
namespace {

uint64_t Address(const void* block) { return reinterpret_cast<uint64_t>(block); }

[[gnu::noinline]] void RetireStale(void* block) {
  core::RetireStaleSlow(Address(block), g_allocator.malloc_usable_size(block));
}

// The common path's end: not sampled, nothing to record, unless the free of a block that was there was never seen.
[[gnu::always_inline]] inline void* Unsampled(void* block) {
  if (core::MayBeRecorded(Address(block))) RetireStale(block);
  return block;
}

// Every sampled allocation. The hooks tail-call here, so the frame above this function's is the program's own.
template <typename Call>
[[gnu::always_inline]] inline void* Sampled(size_t size, Call call) {
#ifdef __OPTIMIZE__
  unwind::Registers caller{};
  unwind::CaptureCaller(&caller);
  void* block = call();
  if (block != nullptr) core::BlockBornSlow(Address(block), size, &caller);
  ServeImports();
#else  // no tail calls
  void* block = call();
  if (block != nullptr) core::BlockBornSlow(Address(block), size, nullptr);
#endif
  return block;
}

[[gnu::noinline]] void* MallocSlow(size_t size) {
  return Sampled(size, [=] { return g_allocator.malloc(size); });
}
[[gnu::noinline]] void* CallocSlow(size_t count, size_t size) {
  return Sampled(count * size, [=] { return g_allocator.calloc(count, size); });
}
[[gnu::noinline]] void* AlignedAllocSlow(size_t alignment, size_t size) {
  return Sampled(size, [=] { return g_allocator.aligned_alloc(alignment, size); });
}
[[gnu::noinline]] void* MemalignSlow(size_t alignment, size_t size) {
  return Sampled(size, [=] { return g_allocator.memalign(alignment, size); });
}
[[gnu::noinline]] void* VallocSlow(size_t size) {
  return Sampled(size, [=] { return g_allocator.valloc(size); });
}
[[gnu::noinline]] void* PvallocSlow(size_t size) {
  return Sampled(size, [=] { return g_allocator.pvalloc(size); });
}
[[gnu::noinline]] int PosixMemalignSlow(void** result, size_t alignment, size_t size) {
  int error = 0;
  Sampled(size, [&]() -> void* {
    error = g_allocator.posix_memalign(result, alignment, size);
    return error == 0 ? *result : nullptr;
  });
  return error;
}

// False: the block is the bootstrap arena's and must not reach the real allocator.
[[gnu::noinline]] bool FreedSlow(void* block) {
  if (block == nullptr) return true;
  if (InBootstrapArena(block)) return false;
  core::BlockFreedSlow(Address(block));
  return true;
}

// A realloc of a block that may be recorded, or one that the sampler wants.
[[gnu::noinline]] void* ReallocSlow(void* old, size_t size, bool skip) {
  unwind::Registers* from = nullptr;
#ifdef __OPTIMIZE__
  unwind::Registers caller{};
  unwind::CaptureCaller(&caller);
  from = &caller;
#endif
  if (InBootstrapArena(old)) {
    void* block = g_allocator.malloc(size);
    size_t had = BootstrapSize(old);
    if (block != nullptr) sys::Copy(block, old, had < size ? had : size);
    if (block != nullptr && !skip) core::BlockBornSlow(Address(block), size, from);
    return block;
  }
  core::Resize resize = old == nullptr ? core::Resize{} : core::ResizeBeginSlow(Address(old));
  void* block = g_allocator.realloc(old, size);
  core::ResizeOutcome outcome = core::ResizeOutcome::kMoved;
  // A null result frees the old block only for size 0 (glibc); otherwise the old block stands.
  if (block == nullptr) outcome = size == 0 ? core::ResizeOutcome::kFreed : core::ResizeOutcome::kFailed;
  core::ResizeEndSlow(resize, outcome, Address(block), size, !skip, from);
  return block;
}

}  // namespace
}  // namespace leakhunt::hooks

using namespace leakhunt;
using hooks::g_allocator;

LEAKHUNT_HOT_PAGE_BEGINS;

LEAKHUNT_HOOK LEAKHUNT_HOT void* malloc(size_t size) {
  if (!core::CountDown(size)) return hooks::MallocSlow(size);
  return hooks::Unsampled(g_allocator.malloc(size));
}

LEAKHUNT_HOOK LEAKHUNT_HOT void free(void* block) {
  if (core::MayBeRecorded(hooks::Address(block)) && !hooks::FreedSlow(block)) return;
  g_allocator.free(block);
}

LEAKHUNT_HOOK LEAKHUNT_HOT void* calloc(size_t count, size_t size) {
  size_t bytes;
  if (__builtin_mul_overflow(count, size, &bytes)) return g_allocator.calloc(count, size);  // fails there, errno and all
  if (!core::CountDown(bytes)) return hooks::CallocSlow(count, size);
  return hooks::Unsampled(g_allocator.calloc(count, size));
}

LEAKHUNT_HOOK LEAKHUNT_HOT void* realloc(void* old, size_t size) {
  bool skip = core::CountDown(size);
  if (!skip || core::MayBeRecorded(hooks::Address(old))) return hooks::ReallocSlow(old, size, skip);
  void* block = g_allocator.realloc(old, size);
  return block == old ? block : hooks::Unsampled(block);
}

LEAKHUNT_HOOK void* reallocarray(void* old, size_t count, size_t size) {
  size_t bytes;
  if (__builtin_mul_overflow(count, size, &bytes)) {
    errno = ENOMEM;
    return nullptr;
  }
  bool skip = core::CountDown(bytes);
  if (!skip || core::MayBeRecorded(hooks::Address(old))) return hooks::ReallocSlow(old, bytes, skip);
  void* block = g_allocator.realloc(old, bytes);
  return block == old ? block : hooks::Unsampled(block);
}

LEAKHUNT_HOOK LEAKHUNT_HOT int posix_memalign(void** result, size_t alignment, size_t size) {
  if (!core::CountDown(size)) return hooks::PosixMemalignSlow(result, alignment, size);
  int error = g_allocator.posix_memalign(result, alignment, size);
  if (error == 0) hooks::Unsampled(*result);
  return error;
}

LEAKHUNT_HOOK void* aligned_alloc(size_t alignment, size_t size) {
  if (!core::CountDown(size)) return hooks::AlignedAllocSlow(alignment, size);
  return hooks::Unsampled(g_allocator.aligned_alloc(alignment, size));
}

LEAKHUNT_HOOK void* memalign(size_t alignment, size_t size) {
  if (!core::CountDown(size)) return hooks::MemalignSlow(alignment, size);
  return hooks::Unsampled(g_allocator.memalign(alignment, size));
}

LEAKHUNT_HOOK void* __libc_memalign(size_t alignment, size_t size) {
  if (!core::CountDown(size)) return hooks::MemalignSlow(alignment, size);
  return hooks::Unsampled(g_allocator.memalign(alignment, size));
}

LEAKHUNT_HOOK void* valloc(size_t size) {
  if (!core::CountDown(size)) return hooks::VallocSlow(size);
  return hooks::Unsampled(g_allocator.valloc(size));
}

LEAKHUNT_HOOK void* pvalloc(size_t size) {
  if (!core::CountDown(size)) return hooks::PvallocSlow(size);
  return hooks::Unsampled(g_allocator.pvalloc(size));
}

LEAKHUNT_HOOK void cfree(void* block) { free(block); }

// C23 7.24.3.4, .5: as free, with a promise about the size.
LEAKHUNT_HOOK void free_sized(void* block, size_t) { free(block); }
LEAKHUNT_HOOK void free_aligned_sized(void* block, size_t, size_t) { free(block); }

LEAKHUNT_HOOK LEAKHUNT_HOT size_t malloc_usable_size(void* block) {
  if (__builtin_expect(hooks::InBootstrapArena(block), 0)) return hooks::BootstrapSize(block);
  return g_allocator.malloc_usable_size(block);
}
