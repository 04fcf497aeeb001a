// Time without system calls where the kernel offers it: the vDSO's clock_gettime, found without libc (a program may
// interpose libc's). Falls back to the system call.
#pragma once

#include <time.h>

#include <cstdint>

namespace leakhunt::sys {

// Finds the vDSO. `vdso` = AT_SYSINFO_EHDR, 0 when there is none. Call once before other threads; calling the others
// earlier is correct, only slower.
void InitializeClock(uint64_t vdso);

uint64_t MonotonicCoarseSlow();
using ClockGettime = int (*)(int, timespec*);
extern constinit ClockGettime g_clock_gettime;  // the vDSO's; null before InitializeClock

inline uint64_t MonotonicCoarseNs() {  // ~6 ns; resolution of a tick, 1-4 ms
  timespec now;
  if (__builtin_expect(g_clock_gettime == nullptr || g_clock_gettime(CLOCK_MONOTONIC_COARSE, &now) != 0, 0)) return MonotonicCoarseSlow();
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000u + static_cast<uint64_t>(now.tv_nsec);
}
uint64_t MonotonicNs();        // ~30 ns
int64_t RealtimeNs();
uint64_t ProcessCpuNs();       // system call, ~300 ns

}  // namespace leakhunt::sys
