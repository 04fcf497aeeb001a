// A library that defines mmap, munmap, mremap, close and close_range itself, by syscall(2), as tcmalloc and sandboxes do. Preloaded
// behind another that hooks both those names and syscall, it must not send the two around in a circle.
#define _GNU_SOURCE
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

void* mmap(void* at, size_t bytes, int protection, int flags, int fd, off_t offset) {
  return (void*)syscall(SYS_mmap, at, bytes, protection, flags, fd, offset);
}

int munmap(void* at, size_t bytes) { return (int)syscall(SYS_munmap, at, bytes); }

void* mremap(void* old, size_t old_bytes, size_t new_bytes, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  void* wanted = va_arg(rest, void*);
  va_end(rest);
  return (void*)syscall(SYS_mremap, old, old_bytes, new_bytes, flags, wanted);
}

int close(int fd) { return (int)syscall(SYS_close, fd); }

int close_range(unsigned first, unsigned last, int flags) { return (int)syscall(SYS_close_range, first, last, flags); }
