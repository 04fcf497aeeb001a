// Time without system calls where the kernel offers it: the vDSO's clock_gettime, found without libc (a program may
// interpose libc's). Falls back to the system call.
#pragma once

#include <cstdint>

namespace leakhunt::sys {

// Finds the vDSO. `vdso` = AT_SYSINFO_EHDR, 0 when there is none. Call once before other threads; calling the others
// earlier is correct, only slower.
void InitializeClock(uint64_t vdso);

uint64_t MonotonicCoarseNs();  // ~6 ns; resolution of a tick, 1-4 ms
uint64_t MonotonicNs();        // ~30 ns
int64_t RealtimeNs();
uint64_t ProcessCpuNs();       // system call, ~300 ns

}  // namespace leakhunt::sys
