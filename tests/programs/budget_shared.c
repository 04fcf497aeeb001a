// Allocates and opens descriptors at the same rate for a number of seconds of its own CPU time:
//   budget_shared seen|unseen SECONDS
// "seen": by libc's open and close. "unseen": by the same system calls, made where nobody can see them.
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static long Raw(long number, long a, long b, long c, long d) {
  long result;
  register long r10 __asm__("r10") = d;
  __asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10) : "rcx", "r11", "memory");
  return result;
}

static double CpuSeconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

int main(int argc, char **argv) {
  if (argc != 3) return 2;
  const int seen = strcmp(argv[1], "seen") == 0;
  const double seconds = atof(argv[2]);
  while (CpuSeconds() < seconds) {
    for (int turn = 0; turn < 500; ++turn) {
      void *blocks[4];
      for (int i = 0; i < 4; ++i) blocks[i] = malloc(1000);
      for (int i = 0; i < 4; ++i) free(blocks[i]);
      if (seen) close(open("/dev/null", O_RDONLY));
      else Raw(SYS_close, Raw(SYS_openat, AT_FDCWD, (long)"/dev/null", O_RDONLY, 0), 0, 0, 0);
    }
  }
  return 0;
}
