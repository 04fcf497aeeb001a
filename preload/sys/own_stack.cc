#include "preload/sys/own_stack.h"

#include <signal.h>
#include <sys/mman.h>

#include "preload/sys/atomic.h"
#include "preload/sys/clock.h"
#include "preload/sys/memory.h"
#include "preload/sys/syscall.h"

// void LeakhuntCallOn(void* top, void (*work)(void*), void* argument): `top` is a multiple of 16. Unwinders that come here
// from `work` find their way back to the program's stack by the frame pointer.
extern "C" __attribute__((visibility("hidden"))) void LeakhuntCallOn(void* top, void (*work)(void*), void* argument);

#if defined(__x86_64__)
asm(R"(
  .text
  .p2align 4
  .globl LeakhuntCallOn
  .hidden LeakhuntCallOn
  .type LeakhuntCallOn, @function
LeakhuntCallOn:
  .cfi_startproc
  endbr64
  pushq %rbp
  .cfi_adjust_cfa_offset 8
  .cfi_rel_offset rbp, 0
  movq %rsp, %rbp
  .cfi_def_cfa_register rbp
  movq %rdi, %rsp
  movq %rdx, %rdi
  call *%rsi
  movq %rbp, %rsp
  popq %rbp
  .cfi_def_cfa rsp, 8
  .cfi_restore rbp
  ret
  .cfi_endproc
  .size LeakhuntCallOn, . - LeakhuntCallOn
)");
#elif defined(__aarch64__)
asm(R"(
  .text
  .p2align 2
  .globl LeakhuntCallOn
  .hidden LeakhuntCallOn
  .type LeakhuntCallOn, %function
LeakhuntCallOn:
  .cfi_startproc
  stp x29, x30, [sp, #-16]!
  .cfi_adjust_cfa_offset 16
  .cfi_rel_offset x29, 0
  .cfi_rel_offset x30, 8
  mov x29, sp
  .cfi_def_cfa_register x29
  mov sp, x0
  mov x0, x2
  blr x1
  mov sp, x29
  ldp x29, x30, [sp], #16
  .cfi_def_cfa sp, 0
  .cfi_restore x29
  .cfi_restore x30
  ret
  .cfi_endproc
  .size LeakhuntCallOn, . - LeakhuntCallOn
)");
#endif

namespace leakhunt::sys {
namespace {

constexpr uint64_t kGuardBytes = 4096;
constexpr uint32_t kMostStacks = 256;  // threads at once; made as they are needed, 36 KiB of address space each

struct OwnStack {
  char* start;      // of the guard page; null: not made yet. Written by who has claimed it
  uint32_t in_use;  // claimed by CAS; release-stored as 0, partner: the next claim
};
constinit OwnStack g_stacks[kMostStacks] = {};

// The stack that this thread was on last. The thread is on it while its stack pointer is inside, so a value left behind by a
// vfork child that was killed does no harm.
constinit thread_local OwnStack* t_last = nullptr;

uint64_t Here() { return reinterpret_cast<uint64_t>(__builtin_frame_address(0)); }

bool Holds(const OwnStack& stack, uint64_t address) {
  return stack.start != nullptr && address - reinterpret_cast<uint64_t>(stack.start) < kGuardBytes + kOwnStackBytes;
}

bool Make(OwnStack* stack) {
  auto* start = static_cast<char*>(MapPrivate(kGuardBytes + kOwnStackBytes));
  if (start == nullptr) return false;
  Call(SYS_mprotect, Word(start), kGuardBytes, PROT_NONE);
  stack->start = start;
  return true;
}

// Null: all in use, or no memory. Not in line: what it needs is given back before `work` is called.
[[gnu::noinline]] OwnStack* Claim() {
  for (OwnStack& stack : g_stacks) {
    if (LoadRelaxed(&stack.in_use) != 0 || !CompareExchange(&stack.in_use, 0u, 1u)) continue;
    __atomic_thread_fence(__ATOMIC_SEQ_CST);  // before Block asks whether the gate is closed; partner: SeccompBegins
    if (stack.start != nullptr || Make(&stack)) return &stack;
    StoreRelease(&stack.in_use, 0u);
    return nullptr;
  }
  return nullptr;
}

uint64_t Bit(int signal) { return uint64_t{1} << (signal - 1); }

// Every signal but those that code causes itself.
uint64_t Blocked() {
  return ~(Bit(SIGSEGV) | Bit(SIGBUS) | Bit(SIGFPE) | Bit(SIGILL) | Bit(SIGTRAP) | Bit(SIGSYS));
}

// Blocks them, with the mask as it was in `*before`.
[[gnu::noinline]] bool Block(uint64_t* before) {
  const uint64_t blocked = Blocked();
  return !Failed(Call(SYS_rt_sigprocmask, SIG_SETMASK, Word(&blocked), Word(before), sizeof(blocked)));
}

[[gnu::noinline]] bool IsOnOwnStack() { return t_last != nullptr && Holds(*t_last, Here()); }

}  // namespace

[[gnu::noinline]] bool OnOwnStack(void (*work)(void*), void* argument, WhenGated when_gated) {
  if (IsOnOwnStack() || (Gated() && when_gated == WhenGated::kHere)) return work(argument), true;
  uint64_t before;
  OwnStack* stack = Gated() ? nullptr : Claim();
  if (stack == nullptr) return false;
  const bool blocked = Block(&before);
  if (blocked) {
    t_last = stack;
    LeakhuntCallOn(stack->start + kGuardBytes + kOwnStackBytes, work, argument);
    // Not by Call: the signals must come back whatever happened meanwhile.
    CallForProgram(SYS_rt_sigprocmask, SIG_SETMASK, Word(&before), 0, sizeof(before));
  }
  StoreRelease(&stack->in_use, 0u);  // partners: Claim, AwaitOwnStacks
  return blocked;
}

void AwaitOwnStacks() {
  constexpr uint64_t kPatienceNs = 5'000'000;
  const uint64_t until_ns = MonotonicNs() + kPatienceNs;
  for (const OwnStack& stack : g_stacks) {
    while (LoadAcquire(&stack.in_use) != 0 && !Holds(stack, Here()) && MonotonicNs() < until_ns) CallForProgram(SYS_sched_yield);
  }
}

void OwnStacksAfterFork() {
  const uint64_t here = Here();
  for (OwnStack& stack : g_stacks) {
    if (!Holds(stack, here)) StoreRelease(&stack.in_use, 0u);
  }
}

}  // namespace leakhunt::sys
