// Stacks of leakhunt's own, for work that is rare and needs much stack.
//
// The program may call a hook on a stack of 4 KiB (a coroutine, a fiber). The common paths of the hooks use little of it; what
// is rare and deep (decoding an unwind rule, reading /proc/self/maps, connecting, becoming a process after fork) is called
// by OnOwnStack.
//
// Signals are blocked while a thread is on such a stack, so no handler of the program ever runs there. A handler may
// therefore jump out, switch fibers, scan its stack or check its stack pointer as it does without leakhunt. Only signals
// that the running code itself causes (a fault, a trap, a system call that a filter turns into SIGSYS) stay as they
// are: blocked, they would end the process.
#pragma once

#include <cstdint>

namespace leakhunt::sys {

inline constexpr uint64_t kOwnStackBytes = 32 * 1024;

// Calls work(argument) on a stack of leakhunt's own, or directly where the caller is on one already. False, and nothing was
// called: system calls are forbidden (Gated), the kernel refuses memory, or all stacks are in use. Any thread; not in
// signal handlers that interrupted leakhunt. Keeps errno as far as `work` does. `work` must return.
//
// With kHere, `work` is called on the caller's stack, which must have room for it, where system calls are forbidden.
enum class WhenGated : bool { kNotAtAll, kHere };
[[nodiscard]] bool OnOwnStack(void (*work)(void*), void* argument, WhenGated when_gated = WhenGated::kNotAtAll);

// The same for a lambda, which may refer to the caller's variables.
template <typename Work>
[[nodiscard, gnu::always_inline]] inline bool OnOwnStack(const Work& work, WhenGated when_gated = WhenGated::kNotAtAll) {
  return OnOwnStack([](void* argument) { (*static_cast<const Work*>(argument))(); }, const_cast<Work*>(&work), when_gated);
}

// With kHere.
template <typename Work>
[[nodiscard, gnu::always_inline]] inline bool OnOwnStackOrHere(const Work& work) {
  return OnOwnStack(work, WhenGated::kHere);
}

// After g_gate was closed: waits, 5 ms at most, until no other thread is on such a stack. It will have unblocked its signals then; a
// filter for all threads may forbid that.
void AwaitOwnStacks();

// In a forked child, before it has a second thread that records: stacks that other threads of the parent were on are free.
void OwnStacksAfterFork();

}  // namespace leakhunt::sys
