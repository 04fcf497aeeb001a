// The numbers of leakhunt's own descriptors, closed by system calls of the program's own and then the program's files: they
// are read, kept open and closed as any other. A descriptor is leakhunt's by what it is, and not by its number.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { kMost = 4096, kAlone = 500 };

// Out of leakhunt's sight, which sees syscall() as well.
static long Unseen(long number, long a, long b, long c) {
#if defined(__x86_64__)
  long result;
  __asm__ volatile("syscall" : "=a"(result) : "0"(number), "D"(a), "S"(b), "d"(c) : "rcx", "r11", "memory");
  return result;
#else
  return syscall(number, a, b, c);
#endif
}

static int IsOfLeakhunt(int fd) {
  char name[32], what[64] = "";
  snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
  return readlink(name, what, sizeof(what) - 1) > 0 &&
         (strncmp(what, "socket:", 7) == 0 || strncmp(what, "/memfd:leakhunt", 15) == 0);
}

static void Work(void) {
  const time_t end = time(NULL) + 2;  // the connection is looked at once a second
  while (time(NULL) < end) {
    for (int i = 0; i < 20000; ++i) free(malloc(i & 1023));
  }
}

// Puts a file on each number, waits or not, reads and closes it. How many were the program's in all of that.
static int PlaceAndClose(int file, const int* numbers, int count, int wait) {
  int right = 0;
  for (int i = 0; i < count; ++i) Unseen(SYS_dup3, file, numbers[i], 0);
  if (wait) Work();
  for (int i = 0; i < count; ++i) {
    char byte;
    const int open = pread(numbers[i], &byte, 1, 0) == 1, closed = close(numbers[i]) == 0;
    errno = 0;
    right += open && closed && fcntl(numbers[i], F_GETFD) == -1 && errno == EBADF;
  }
  return right;
}

int main(void) {
  int numbers[kMost], count = 0;
  for (int i = 0; i < 200000; ++i) free(malloc(i & 1023));
  for (int fd = 3; fd < 70000 && count < kMost; ++fd) {
    if (IsOfLeakhunt(fd)) numbers[count++] = fd;
  }
  const char* collector = getenv("LEAKHUNT_SOCKET");
  const int watched = getenv("LD_PRELOAD") != NULL && collector != NULL && access(collector, F_OK) == 0;
  if (watched && count < 2) fprintf(stderr, "%d descriptors of leakhunt's were found\n", count);
  if (count == 0) numbers[count++] = kAlone;
  const int file = (int)Unseen(SYS_openat, AT_FDCWD, (long)"/etc/passwd", O_RDONLY);
  const int at_once = PlaceAndClose(file, numbers, count, 0), later = PlaceAndClose(file, numbers, count, 1);
  puts(at_once == count && later == count ? "each was the program's" : "some were not the program's");
  return at_once == count && later == count ? 0 : 1;
}
