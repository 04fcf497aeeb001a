// Time without system calls where the kernel offers it: the vDSO's clock_gettime, found without libc (a program may
// interpose libc's). Falls back to the system call.
#pragma once

#include <time.h>

#include <cstdint>

#include "preload/sys/hot.h"

namespace leakhunt::sys {

// Finds the vDSO. `vdso` = AT_SYSINFO_EHDR, 0 when there is none. Call once before other threads; calling the others
// earlier is correct, only slower.
void InitializeClock(uint64_t vdso);

LEAKHUNT_ASIDE uint64_t MonotonicCoarseSlow();
using ClockGettime = int (*)(int, timespec*);
LEAKHUNT_HIDDEN extern constinit ClockGettime g_clock_gettime;  // the vDSO's; null before InitializeClock

inline uint64_t MonotonicCoarseNs() {  // ~6 ns; resolution of a tick, 1-4 ms
  timespec now;
  const ClockGettime gettime = __atomic_load_n(&g_clock_gettime, __ATOMIC_RELAXED);
  if (__builtin_expect(gettime == nullptr || gettime(CLOCK_MONOTONIC_COARSE, &now) != 0, 0)) return MonotonicCoarseSlow();
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000u + static_cast<uint64_t>(now.tv_nsec);
}
// The program is about to forbid itself the processor's cycle counter (PR_SET_TSC): the vDSO reads that, and would be its death.
void CycleCounterForbidden();

uint64_t MonotonicNs();        // ~30 ns
int64_t RealtimeNs();
uint64_t ProcessCpuNs();       // system call, ~300 ns

}  // namespace leakhunt::sys
