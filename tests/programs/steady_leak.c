// Steady churn in four threads, and two slow leaks: 512 bytes each 20 ms (SlowLeak), a descriptor each second
// (SlowOpen). Never allocates anything else that stays. Runs until SIGTERM.
//
//   steady_leak [OPERATIONS_A_SECOND]      of each thread; default 20,000, 0 = as fast as it can
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { kThreads = 4, kSlots = 1000 };

static volatile int stop;
static int rate = 20000;

static void OnTerminate(int signal) { stop = signal; }

__attribute__((noinline)) static void SlowLeak(void) {
  char* volatile block = malloc(512);
  memset(block, 1, 512);
}
__attribute__((noinline)) static void SlowOpen(void) { (void)!open("/dev/null", O_RDONLY | O_CLOEXEC); }

static double Now(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static void* Churn(void* argument) {
  uint32_t seed = (uint32_t)(uintptr_t)argument * 2654435761u + 1;
  void* slots[kSlots] = {0};
  double began = Now();
  for (long done = 0; !stop;) {
    long due = rate == 0 ? done + 1000 : (long)((Now() - began) * rate);  // by the clock: a busy machine is caught up with
    for (; done < due; ++done) {
      seed = seed * 1664525u + 1013904223u;
      uint32_t slot = (seed >> 8) % kSlots;
      free(slots[slot]);
      slots[slot] = malloc(16 + (seed >> 20));
    }
    if (rate != 0) usleep(10000);
  }
  for (int i = 0; i < kSlots; ++i) free(slots[i]);
  return NULL;
}

int main(int argc, char** argv) {
  if (argc > 1) rate = atoi(argv[1]);
  signal(SIGTERM, OnTerminate);
  pthread_t threads[kThreads];
  for (intptr_t i = 0; i < kThreads; ++i) pthread_create(&threads[i], NULL, Churn, (void*)(i + 1));
  double began = Now();
  for (long done = 0; !stop; usleep(20000)) {
    for (long due = (long)((Now() - began) * 50); done < due; ++done) {
      SlowLeak();
      if (done % 50 == 0) SlowOpen();
    }
  }
  for (int i = 0; i < kThreads; ++i) pthread_join(threads[i], NULL);
  return 0;
}
