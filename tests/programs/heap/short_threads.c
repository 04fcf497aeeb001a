// 200 threads, joined or detached, each leaving one block behind and freeing others.
#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>

static sem_t done;

static void* Live(void* number) {
  size_t n = (size_t)number;
  for (int i = 0; i < 30; ++i) free(malloc(n + 8));
  void* left = malloc(n + 1);
  sem_post(&done);
  return left;
}

int main(void) {
  sem_init(&done, 0, 0);
  for (size_t n = 0; n < 200; ++n) {
    pthread_t thread;
    if (pthread_create(&thread, NULL, Live, (void*)n) != 0) return 1;
    sem_wait(&done);
    pthread_join(thread, NULL);
  }
  return 0;
}
