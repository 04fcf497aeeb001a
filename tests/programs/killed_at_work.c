// Holds 2,000 blocks and churns in four threads until it is killed. Exactly the held ones, and at most one block a thread
// in flight, must be in the last snapshot.
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

__attribute__((noinline)) static void *Hold(void) { return malloc(100); }
__attribute__((noinline)) static void *Flight(size_t size) { return malloc(size); }

static void *held[2000];

static void *Churn(void *argument) {
  unsigned seed = (unsigned)(size_t)argument;
  for (;;) {
    seed = seed * 1103515245 + 12345;
    void *block = Flight((seed >> 8) & 1023);
    block = realloc(block, ((seed >> 4) & 4095) + 1);
    free(block);
  }
  return NULL;
}

int main(void) {
  for (int i = 0; i < 2000; ++i) held[i] = Hold();
  pthread_t thread;
  for (size_t i = 0; i < 3; ++i) pthread_create(&thread, NULL, Churn, (void *)(i + 1));
  puts("works");
  fflush(stdout);
  Churn((void *)7);
  return held[0] == NULL;
}
