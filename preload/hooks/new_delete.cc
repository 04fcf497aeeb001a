// operator new and delete. libstdc++'s own call malloc and free, which are seen there, so these only pass on; a
// library that allocates inside its operator new (jemalloc, tcmalloc, mimalloc) is recorded here. Which it is, is
// found once: the allocator's operator new stands in the same object as its malloc.
#include <dlfcn.h>
#include <stddef.h>
#include <stdint.h>

#include "preload/core/tracker.h"
#include "preload/hooks/allocator.h"
#include "preload/hooks/hook.h"

namespace leakhunt::hooks {
namespace {

enum class Owner : uint32_t { kUnknown = 0, kLibrary = 1, kAllocator = 2 };
constinit Owner g_owner = Owner::kUnknown;

LEAKHUNT_REAL Real<void*(size_t)> real_new_of_owner("_Znwm");

[[gnu::noinline]] Owner FindOwner() {
  ++core::t_local.busy;
  Dl_info ours{}, theirs{};
  FindAllocator();
  void* real_new = reinterpret_cast<void*>(real_new_of_owner.Get());
  bool same = real_new != nullptr && dladdr(real_new, &theirs) != 0 &&
              dladdr(reinterpret_cast<void*>(g_allocator.malloc), &ours) != 0 && ours.dli_fbase == theirs.dli_fbase;
  --core::t_local.busy;
  g_owner = same ? Owner::kAllocator : Owner::kLibrary;
  return g_owner;
}

[[gnu::always_inline]] inline bool Recorded() {
  Owner owner = g_owner;
  if (__builtin_expect(owner == Owner::kUnknown, 0)) owner = FindOwner();
  return owner == Owner::kAllocator;
}

template <typename Call>
[[gnu::always_inline]] inline void* New(size_t size, Call call) {
  if (!Recorded()) return call();
  bool skip = core::CountDown(size);
  void* block = call();
  if (skip) {
    if (core::MayBeRecorded(reinterpret_cast<uint64_t>(block))) core::RetireStaleSlow(reinterpret_cast<uint64_t>(block), size);
  } else if (block != nullptr) {
    core::BlockBornSlow(reinterpret_cast<uint64_t>(block), size, nullptr);
  }
  return block;
}

[[gnu::always_inline]] inline void Deleting(void* block) {
  if (Recorded() && core::MayBeRecorded(reinterpret_cast<uint64_t>(block))) core::BlockFreedSlow(reinterpret_cast<uint64_t>(block));
}

}  // namespace
}  // namespace leakhunt::hooks

using leakhunt::hooks::Deleting;
using leakhunt::hooks::New;
using leakhunt::hooks::Real;

// Mangled names (Itanium C++ ABI 5.1.4.3), so that no C++ runtime is needed here. The parameter lists are the ABI's:
// m = size_t, St11align_val_t = size_t-sized enum, RKSt9nothrow_t = pointer.
#define LEAKHUNT_NEW(NAME, PARAMETERS, ARGUMENTS)                          \
  LEAKHUNT_REAL static Real<void* PARAMETERS> real##NAME(#NAME);           \
  LEAKHUNT_HOOK void* NAME PARAMETERS {                                    \
    return New(size, [&]() -> void* { return real##NAME.Get() ARGUMENTS; }); \
  }
#define LEAKHUNT_DELETE(NAME, PARAMETERS, ARGUMENTS)          \
  LEAKHUNT_REAL static Real<void PARAMETERS> real##NAME(#NAME); \
  LEAKHUNT_HOOK void NAME PARAMETERS {                        \
    Deleting(block);                                          \
    real##NAME.Get() ARGUMENTS;                               \
  }

LEAKHUNT_NEW(_Znwm, (size_t size), (size))
LEAKHUNT_NEW(_Znam, (size_t size), (size))
LEAKHUNT_NEW(_ZnwmRKSt9nothrow_t, (size_t size, const void* nothrow), (size, nothrow))
LEAKHUNT_NEW(_ZnamRKSt9nothrow_t, (size_t size, const void* nothrow), (size, nothrow))
LEAKHUNT_NEW(_ZnwmSt11align_val_t, (size_t size, size_t alignment), (size, alignment))
LEAKHUNT_NEW(_ZnamSt11align_val_t, (size_t size, size_t alignment), (size, alignment))
LEAKHUNT_NEW(_ZnwmSt11align_val_tRKSt9nothrow_t, (size_t size, size_t alignment, const void* nothrow), (size, alignment, nothrow))
LEAKHUNT_NEW(_ZnamSt11align_val_tRKSt9nothrow_t, (size_t size, size_t alignment, const void* nothrow), (size, alignment, nothrow))
LEAKHUNT_DELETE(_ZdlPv, (void* block), (block))
LEAKHUNT_DELETE(_ZdaPv, (void* block), (block))
LEAKHUNT_DELETE(_ZdlPvm, (void* block, size_t size), (block, size))
LEAKHUNT_DELETE(_ZdaPvm, (void* block, size_t size), (block, size))
LEAKHUNT_DELETE(_ZdlPvSt11align_val_t, (void* block, size_t alignment), (block, alignment))
LEAKHUNT_DELETE(_ZdaPvSt11align_val_t, (void* block, size_t alignment), (block, alignment))
LEAKHUNT_DELETE(_ZdlPvmSt11align_val_t, (void* block, size_t size, size_t alignment), (block, size, alignment))
LEAKHUNT_DELETE(_ZdaPvmSt11align_val_t, (void* block, size_t size, size_t alignment), (block, size, alignment))
LEAKHUNT_DELETE(_ZdlPvRKSt9nothrow_t, (void* block, const void* nothrow), (block, nothrow))
LEAKHUNT_DELETE(_ZdaPvRKSt9nothrow_t, (void* block, const void* nothrow), (block, nothrow))
