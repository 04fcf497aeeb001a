// A program that forbids itself the processor's cycle counter: whoever reads it in this process, the vDSO's clock among
// them, is killed.
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(int argc, char **argv) {
  int forbidden = argc > 1 && strcmp(argv[1], "raw") == 0 ? (int)syscall(SYS_prctl, PR_SET_TSC, PR_TSC_SIGSEGV, 0, 0, 0)
                                                          : prctl(PR_SET_TSC, PR_TSC_SIGSEGV);
  for (int i = 0; i < 5000; ++i) {
    close(open("/dev/null", O_RDONLY));
    free(malloc((size_t)i));
  }
  printf("%s\n", forbidden == 0 ? "forbidden" : "not to be had");
  return 0;
}
