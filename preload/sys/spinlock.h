// A lock for the guest's short critical sections: a few dozen instructions, seldom a system call inside, never held across a
// call into the program. Not for signal handlers: callers hold the thread's busy flag, which keeps handlers out.
#pragma once

#include <cstdint>

#include "preload/sys/atomic.h"
#include "preload/sys/syscall.h"

namespace leakhunt::sys {

// The word holds the owner's process generation, so that a lock copied into a forked child while held is void there:
// a holder of another generation does not exist any more.
class SpinLock {
 public:
  // False when it was not to be had in a bounded time (about 50 us of waiting, then 500 turns given to others, one of
  // which may be a preempted holder): the caller drops and counts.
  [[nodiscard]] bool Acquire(uint32_t generation) {
    for (int i = 0; i < kSpins + kYields; ++i) {
      if (TryAcquire(generation)) return true;
      if (i < kSpins) Pause();
      else Call(SYS_sched_yield);
    }
    return false;
  }
  [[nodiscard]] bool TryAcquire(uint32_t generation) {
    uint32_t seen = LoadRelaxed(&word_);
    return seen != generation && CompareExchange(&word_, seen, generation);
  }
  void Release() { StoreRelease(&word_, 0u); }

 private:
  static constexpr int kSpins = 2'000, kYields = 500;

  uint32_t word_ = 0;  // 0 free; else generation (>= 1) of the holder
};

}  // namespace leakhunt::sys
