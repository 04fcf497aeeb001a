// Raw system calls. The guest never calls libc wrappers for its own work: they may be hooked (by us or by another
// preload), they set errno, and some are cancellation points. Results are the kernel's: negative errno on failure.
#pragma once

#include <cstdint>

#include <sys/syscall.h>

namespace leakhunt::sys {

#if defined(__x86_64__)
inline long CallForProgram(long number, long a = 0, long b = 0, long c = 0, long d = 0, long e = 0, long f = 0) {
  register long r10 asm("r10") = d;
  register long r8 asm("r8") = e;
  register long r9 asm("r9") = f;
  long result;
  asm volatile("syscall"
               : "=a"(result)
               : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
               : "rcx", "r11", "memory");
  return result;
}
#elif defined(__aarch64__)
inline long CallForProgram(long number, long a = 0, long b = 0, long c = 0, long d = 0, long e = 0, long f = 0) {
  register long x8 asm("x8") = number;
  register long x0 asm("x0") = a;
  register long x1 asm("x1") = b;
  register long x2 asm("x2") = c;
  register long x3 asm("x3") = d;
  register long x4 asm("x4") = e;
  register long x5 asm("x5") = f;
  asm volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5) : "memory");
  return x0;
}
#else
#error "leakhunt's guest knows x86-64 and aarch64"
#endif

// Once the program installs a seccomp filter, a system call that the filter does not know kills it. From then on none of
// leakhunt's own is made: each fails with EPERM, and its callers do without, as they must anyway. (What a hook does on the
// program's behalf is CallForProgram.)
struct Gate {
  uint32_t closed;  // 1: no system call of ours any more
  int pid;          // what GetPid answers then
};
extern constinit Gate g_gate;

inline bool Gated() { return __atomic_load_n(&g_gate.closed, __ATOMIC_RELAXED) != 0; }

inline long Call(long number, long a = 0, long b = 0, long c = 0, long d = 0, long e = 0, long f = 0) {
  if (__builtin_expect(Gated(), 0)) return -1;  // EPERM
  return CallForProgram(number, a, b, c, d, e, f);
}

template <typename T>
inline long Word(T* pointer) {
  return reinterpret_cast<long>(pointer);
}

inline bool Failed(long result) { return result < 0 && result > -4096; }

// The process's memory and descriptors as this thread has them: those of /proc/self are gone once the first thread has ended,
// which may be alone (pthread_exit in main). Linux 3.17.
inline constexpr char kOwnMaps[] = "/proc/thread-self/maps";
inline constexpr char kOwnDescriptors[] = "/proc/thread-self/fd/";

inline long Open(const char* path, int flags, int mode = 0) {
  return Call(SYS_openat, -100 /* AT_FDCWD */, Word(path), flags, mode);
}
inline long Close(int fd) { return Call(SYS_close, fd); }
inline long Read(int fd, void* buffer, uint64_t bytes) { return Call(SYS_read, fd, Word(buffer), static_cast<long>(bytes)); }
inline long Write(int fd, const void* buffer, uint64_t bytes) {
  return Call(SYS_write, fd, Word(buffer), static_cast<long>(bytes));
}
// Absolute path of the working directory. False when it has none (removed, or outside of the root) or is too long.
inline bool WorkingDirectory(char* path, uint64_t capacity) {
  return !Failed(Call(SYS_getcwd, Word(path), static_cast<long>(capacity))) && path[0] == '/';
}
inline int GetPid() { return Gated() ? g_gate.pid : static_cast<int>(Call(SYS_getpid)); }
inline int GetTid() { return static_cast<int>(Call(SYS_gettid)); }

}  // namespace leakhunt::sys
