// A lock for the guest's short critical sections: a few dozen instructions, no system call inside, never held across a
// call into the program. Not for signal handlers: callers hold the thread's busy flag, which keeps handlers out.
#pragma once

#include <cstdint>

#include "preload/sys/atomic.h"

namespace leakhunt::sys {

// The word holds the owner's process generation, so that a lock copied into a forked child while held is void there:
// a holder of another generation does not exist any more.
class SpinLock {
 public:
  // False when it was not to be had within about a millisecond: the caller drops and counts.
  [[nodiscard]] bool Acquire(uint32_t generation) {
    for (int i = 0; i < 200'000; ++i) {
      uint32_t seen = LoadRelaxed(&word_);
      if (seen != generation && CompareExchange(&word_, seen, generation)) return true;
      Pause();
    }
    return false;
  }
  [[nodiscard]] bool TryAcquire(uint32_t generation) {
    uint32_t seen = LoadRelaxed(&word_);
    return seen != generation && CompareExchange(&word_, seen, generation);
  }
  void Release() { StoreRelease(&word_, 0u); }

 private:
  uint32_t word_ = 0;  // 0 free; else generation (>= 1) of the holder
};

}  // namespace leakhunt::sys
