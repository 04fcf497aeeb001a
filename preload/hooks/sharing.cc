// vfork, clone(CLONE_VM) and unshare(CLONE_FILES): what runs in the program's memory with descriptors of its own.
//
// vfork returns twice through the same stack, so no frame of ours may be under it: the entry point calls a function,
// is left with the stack as it was, and jumps.
#include <sched.h>
#include <stdarg.h>
#include <unistd.h>

#include "preload/hooks/handle_hook.h"

using namespace leakhunt;

namespace {

LEAKHUNT_REAL hooks::Real<int()> real_vfork("vfork");
LEAKHUNT_REAL hooks::Real<int(int (*)(void*), void*, int, void*, void*, void*, void*)> real_clone("clone");
LEAKHUNT_REAL hooks::Real<int(int)> real_unshare("unshare");

__attribute__((constructor)) void Find() { hooks::FindAll(real_vfork, real_clone, real_unshare); }

// Where there is none: fork is a correct vfork.
int ForkInstead() { return fork(); }

}  // namespace

extern "C" __attribute__((visibility("hidden"), used)) int (*LeakhuntBeforeVfork())() {
  int saved = errno;
  core::VforkBegins();
  auto* vfork_function = real_vfork.Get();
  errno = saved;
  return vfork_function != nullptr ? vfork_function : &ForkInstead;
}

#if defined(__x86_64__)
asm(R"(
  .text
  .globl vfork
  .type vfork, @function
  .globl __vfork
  .type __vfork, @function
vfork:
__vfork:
  .cfi_startproc
  endbr64
  subq $8, %rsp
  .cfi_adjust_cfa_offset 8
  call LeakhuntBeforeVfork
  addq $8, %rsp
  .cfi_adjust_cfa_offset -8
  jmp *%rax
  .cfi_endproc
  .size vfork, . - vfork
  .size __vfork, . - __vfork
)");
#elif defined(__aarch64__)
asm(R"(
  .text
  .globl vfork
  .type vfork, %function
  .globl __vfork
  .type __vfork, %function
vfork:
__vfork:
  .cfi_startproc
  stp x29, x30, [sp, #-16]!
  .cfi_adjust_cfa_offset 16
  .cfi_rel_offset x29, 0
  .cfi_rel_offset x30, 8
  bl LeakhuntBeforeVfork
  ldp x29, x30, [sp], #16
  .cfi_adjust_cfa_offset -16
  .cfi_restore x29
  .cfi_restore x30
  br x0
  .cfi_endproc
  .size vfork, . - vfork
  .size __vfork, . - __vfork
)");
#endif

// The child starts on a stack of its own: a frame here does no harm.
LEAKHUNT_HOOK int clone(int (*function)(void*), void* stack, int flags, void* argument, ...) noexcept {
  va_list list;
  va_start(list, argument);
  void* parent_tid = va_arg(list, void*);
  void* tls = va_arg(list, void*);
  void* child_tid = va_arg(list, void*);
  va_end(list);
  if ((flags & CLONE_VM) != 0 && (flags & CLONE_THREAD) == 0) core::ChildrenShareMemory();
  if ((flags & CLONE_THREAD) != 0 && (flags & CLONE_FILES) == 0) core::DescriptorTablesDiffer();
  return hooks::CallReal(real_clone, function, stack, flags, argument, parent_tid, tls, child_tid);
}

LEAKHUNT_HOOK int unshare(int flags) noexcept {
  const int result = hooks::CallReal(real_unshare, flags);
  if (result == 0 && (flags & CLONE_FILES) != 0) core::DescriptorsUnshared();
  return result;
}
