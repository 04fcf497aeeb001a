// A thread's tid from its pthread_t, which libc has no function for.
//
// A pthread_t is the address of libc's own block for the thread, and the tid is a word of it, at a place that depends on the
// libc. The place is not assumed: it counts only when the calling thread's own block has its own tid there. A detached
// thread may end, and its block be unmapped, at any moment: the word is read by the kernel (Pages::ReadWord).
#pragma once

#include <cstdint>

namespace leakhunt::core {

// The tid of `thread`, in this process's pid namespace. 0: it has ended, its block is gone, or the libc is not known.
// One caller at a time. A few system calls.
uint32_t TidOf(uint64_t thread);

// The kernel has no thread `tid` in this process any more. False when it may not be asked.
bool ThreadHasEnded(uint32_t tid);

}  // namespace leakhunt::core
