// Nobody but root may look into it. Leaks 1,000 bytes each 5 ms.
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

__attribute__((noinline)) static void Leak(void) {
  char* volatile block = malloc(1000);
  block[0] = 1;
}

int main(void) {
  prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
  puts("leaks");
  fflush(stdout);
  for (;;) Leak(), usleep(5000);
}
