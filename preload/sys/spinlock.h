// A lock for the guest's short critical sections: a few dozen instructions, seldom a system call inside, never held across a
// call into the program. Not for signal handlers: callers hold the thread's busy flag, which keeps handlers out. A handler may
// jump out of the holder (siglongjmp): ReleaseAbandonedLocks then releases what the thread holds.
#pragma once

#include <cstdint>

#include "preload/sys/atomic.h"
#include "preload/sys/clock.h"
#include "preload/sys/syscall.h"

namespace leakhunt::sys {

class SpinLock;

// The locks that a thread holds or is about to take, outermost first. Read by the thread itself alone.
struct HeldLocks {
  static constexpr uint32_t kMost = 4;
  SpinLock* at[kMost];
  uint32_t depth;
};
extern thread_local constinit HeldLocks t_held_locks __attribute__((tls_model("initial-exec")));

// The word holds the owner's process generation, so that a lock copied into a forked child while held is void there:
// a holder of another generation does not exist any more. Beside it the word holds which thread the owner is.
class SpinLock {
 public:
  // False when it was not to be had in a bounded time: about 50 us of waiting, then 1 ms in which other threads, one of which
  // may be a preempted holder, are given their turn. The caller drops and counts.
  [[nodiscard]] bool Acquire(uint32_t generation) {
    if (AcquireAtOnce(generation)) return true;
    const uint64_t until_ns = MonotonicNs() + kYieldNs;
    for (int i = 0; i < kYields && MonotonicNs() < until_ns; ++i, Call(SYS_sched_yield)) {
      if (TryAcquire(generation)) return true;
    }
    return TryAcquire(generation);
  }

  // The first 50 us of it.
  [[nodiscard]] bool AcquireAtOnce(uint32_t generation) {
    for (int i = 0; i < kSpins; ++i, Pause()) {
      if (TryAcquire(generation)) return true;
    }
    return false;
  }

  // For what must not be dropped, the end of something recorded, beside calls of the program that wait themselves:
  // `patience_ns` of short sleeps after the first 50 us, by default so much that any holder that lives comes to run, whatever its priority.
  // After that in vain it is taken to be dead (thrown out of a signal handler, say) or suspended, and nobody sleeps for it
  // again until it has released.
  [[nodiscard]] bool AcquirePatiently(uint32_t generation, uint64_t patience_ns = kPatienceNs) {
    if (AcquireAtOnce(generation)) return true;
    if (LoadRelaxed(&in_vain_) != 0) return false;
    const uint64_t until_ns = MonotonicNs() + patience_ns;
    for (int i = 0; i < kSleeps && MonotonicNs() < until_ns; ++i, Sleep()) {
      if (TryAcquire(generation)) return true;
    }
    if (TryAcquire(generation)) return true;
    StoreRelaxed(&in_vain_, 1u);
    return false;
  }
  [[nodiscard]] bool TryAcquire(uint32_t generation) {
    const uint64_t seen = LoadRelaxed(&word_);
    if (seen >> 32 == generation) return false;
    HeldLocks& held = t_held_locks;
    const uint32_t depth = held.depth < HeldLocks::kMost ? held.depth : HeldLocks::kMost - 1;
    StoreRelaxed(&held.at[depth], this);
    asm volatile("" ::: "memory");  // the list names it before it is held: a jump may come between
    if (!CompareExchange(&word_, seen, uint64_t{generation} << 32 | ThisThread())) return false;
    held.depth = depth + 1;
    return true;
  }
  void Release() {
    if (__builtin_expect(LoadRelaxed(&in_vain_) != 0, 0)) StoreRelaxed(&in_vain_, 0u);
    StoreRelease(&word_, uint64_t{0});
    if (HeldLocks& held = t_held_locks; held.depth > 0) --held.depth;
  }

  // Of the calling thread, which does not run in the locked section any more.
  void ReleaseAbandoned(uint32_t generation) {
    if (LoadRelaxed(&word_) == (uint64_t{generation} << 32 | ThisThread())) Release();
  }

 private:
  static constexpr int kSpins = 2'000, kYields = 500, kSleeps = 200;
  static constexpr uint64_t kYieldNs = 1'000'000, kPatienceNs = 20'000'000;
  static constexpr long kSleepNs = 100'000;

  static void Sleep() {
    const long time[2] = {0, kSleepNs};
    if (!Gated()) Call(SYS_nanosleep, Word(time));
    else for (int i = 0; i < kSpins; ++i) Pause();
  }

  // Differs between the threads of a process: the list's address without its lowest bits, the upper ones being the same for all
  // that lie within 64 GiB.
  static uint32_t ThisThread() { return static_cast<uint32_t>(reinterpret_cast<uint64_t>(&t_held_locks) >> 4); }

  uint64_t word_ = 0;     // 0 free; else generation (>= 1) << 32 | ThisThread() of the holder
  uint32_t in_vain_ = 0;  // 1: nobody released it in all the time that somebody waited
};

// After a jump out of leakhunt: the calling thread holds no lock.
inline void ReleaseAbandonedLocks(uint32_t generation) {
  HeldLocks& held = t_held_locks;
  for (SpinLock* lock : held.at) {
    if (lock != nullptr) lock->ReleaseAbandoned(generation);
  }
  held = {};
}

}  // namespace leakhunt::sys
