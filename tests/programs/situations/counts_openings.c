// A library that stands before libc's open and close and says when it is asked how many came by.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

static unsigned opened, closed;

typedef int opening(const char *, int, mode_t);

static int count_opening(opening *real, const char *path, int flags, mode_t mode) {
  __atomic_fetch_add(&opened, 1, __ATOMIC_RELAXED);
  return real(path, flags, mode);
}

// Variadic in libc; the third argument is where it would be, if there is one.
int counted_open(const char *path, int flags, mode_t mode) __asm__("open");
int counted_open(const char *path, int flags, mode_t mode) {
  return count_opening((opening *)dlsym(RTLD_NEXT, "open"), path, flags, mode);
}
int counted_open64(const char *path, int flags, mode_t mode) __asm__("open64");
int counted_open64(const char *path, int flags, mode_t mode) {
  return count_opening((opening *)dlsym(RTLD_NEXT, "open64"), path, flags, mode);
}

int close(int fd) {
  __atomic_fetch_add(&closed, 1, __ATOMIC_RELAXED);
  return ((int (*)(int))dlsym(RTLD_NEXT, "close"))(fd);
}

void say_counts(void) { printf("%u opened, %u closed\n", opened, closed); }
