// Thread-specific destructors allocate and free after everything else of the thread is gone, many threads in a row.
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

static pthread_key_t key;
static int rounds;

static void Destroy(void *value) {
  free(value);
  __sync_fetch_and_add(&rounds, 1);
  static __thread int left = 3;
  if (--left > 0) pthread_setspecific(key, malloc(32));  // called again, up to PTHREAD_DESTRUCTOR_ITERATIONS
}

static void *Run(void *argument) {
  pthread_setspecific(key, malloc(64));
  return argument;
}

int main(void) {
  pthread_key_create(&key, Destroy);
  for (int i = 0; i < 500; ++i) {
    pthread_t threads[4];
    for (int t = 0; t < 4; ++t) pthread_create(&threads[t], NULL, Run, NULL);
    for (int t = 0; t < 4; ++t) pthread_join(threads[t], NULL);
  }
  printf("%d rounds\n", rounds);
  return 0;
}
