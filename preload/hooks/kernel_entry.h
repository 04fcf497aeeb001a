// open, openat and close where libc's function would do no more than enter the kernel.
//
// They are cancellation points, and glibc takes its short way while __libc_single_threaded says that there is nobody to cancel
// (SINGLE_THREAD_P; pthread_create and pthread_cancel clear the word). The same word is asked here, and then the kernel is
// entered at once: a server finds none of libc's code in its near caches. Where one of the functions is not libc's own
// (another preload's, a sanitizer's, the program's), they are called as any other is, through what RTLD_NEXT has found.
#pragma once

#include "preload/sys/atomic.h"
#include "preload/sys/hot.h"
#include "preload/sys/syscall.h"

namespace leakhunt::hooks {

// __libc_single_threaded, or a constant 0 where libc's functions do more or may not be passed by.
LEAKHUNT_HIDDEN extern constinit const char* g_libc_only_enters;

// From now on libc's functions are called: a seccomp filter may ask from where the kernel is entered.
void EnterThroughLibc();

[[gnu::always_inline]] inline bool LibcOnlyEnters() { return __builtin_expect(sys::LoadRelaxed(g_libc_only_enters) != 0, 1); }

// Sets errno. `result` is the kernel's.
LEAKHUNT_ASIDE int FailedWith(long result);

// What libc's function returns where the kernel returned `result`.
[[gnu::always_inline]] inline int AsLibcReturns(long result) {
  return __builtin_expect(sys::Failed(result), 0) ? FailedWith(result) : static_cast<int>(result);
}

}  // namespace leakhunt::hooks
