// A timer signal interrupts allocation anywhere, also inside leakhunt, and its handler allocates, frees, opens, closes.
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/time.h>
#include <unistd.h>

static volatile sig_atomic_t ticks;

static void OnTick(int signal) {
  (void)signal;
  ++ticks;
  int fd = open("/dev/null", O_RDONLY);
  int copy = dup(fd);
  close(fd);
  close(copy);
}

int main(void) {
  struct sigaction action = {.sa_handler = OnTick, .sa_flags = SA_RESTART};
  sigaction(SIGALRM, &action, NULL);
  struct itimerval every = {{0, 200}, {0, 200}};
  setitimer(ITIMER_REAL, &every, NULL);
  unsigned seed = 1;
  void *kept[64] = {0};
  while (ticks < 1000) {
    seed = seed * 1103515245 + 12345;
    int i = (seed >> 16) & 63;
    kept[i] = realloc(kept[i], (seed >> 8) & 2047);
    int fd = open("/dev/zero", O_RDONLY);
    if ((seed & 1) != 0) free(kept[i]), kept[i] = NULL;
    close(fd);
  }
  for (int i = 0; i < 64; ++i) free(kept[i]);
  puts("1000 ticks");
  return 0;
}
