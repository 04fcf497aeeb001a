// Strict seccomp: any system call but read, write and _exit kills. Allocation goes on; leakhunt must make none of its own.
#include <linux/seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int main(void) {
  free(malloc(100000));  // room in the arena: malloc itself may not grow it later
  puts("begins");
  fflush(stdout);
  if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT) != 0) return 1;
  struct timespec start, now;
  clock_gettime(CLOCK_MONOTONIC, &start);  // the vDSO, no system call
  do {
    for (int i = 0; i < 10000; ++i) free(realloc(malloc(i & 255), i & 511));
    clock_gettime(CLOCK_MONOTONIC, &now);
  } while (now.tv_sec - start.tv_sec < 2);
  if (write(1, "ends\n", 5) != 5) return 1;
  syscall(SYS_exit, 0);
}
