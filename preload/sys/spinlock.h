// A lock for the guest's short critical sections: a few dozen instructions, seldom a system call inside, never held across a
// call into the program. Not for signal handlers: callers hold the thread's busy flag, which keeps handlers out.
#pragma once

#include <cstdint>

#include "preload/sys/atomic.h"
#include "preload/sys/clock.h"
#include "preload/sys/syscall.h"

namespace leakhunt::sys {

// The word holds the owner's process generation, so that a lock copied into a forked child while held is void there:
// a holder of another generation does not exist any more.
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
    uint32_t seen = LoadRelaxed(&word_);
    return seen != generation && CompareExchange(&word_, seen, generation);
  }
  void Release() {
    if (__builtin_expect(LoadRelaxed(&in_vain_) != 0, 0)) StoreRelaxed(&in_vain_, 0u);
    StoreRelease(&word_, 0u);
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

  uint32_t word_ = 0;     // 0 free; else generation (>= 1) of the holder
  uint32_t in_vain_ = 0;  // 1: nobody released it in all the time that somebody waited
};

}  // namespace leakhunt::sys
