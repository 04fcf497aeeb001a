// Forks while other threads allocate; the children start threads of their own, some by _Fork, and must never hang.
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static volatile int stop;

static void *Churn(void *argument) {
  unsigned seed = (unsigned)(size_t)argument;
  void *kept[64] = {0};
  while (!stop) {
    seed = seed * 1103515245 + 12345;
    int i = (seed >> 16) & 63;
    free(kept[i]);
    kept[i] = malloc((seed >> 8) & 1023);
  }
  for (int i = 0; i < 64; ++i) free(kept[i]);
  return NULL;
}

static int Child(int number) {
  pthread_t threads[2];
  for (size_t i = 0; i < 2; ++i) pthread_create(&threads[i], NULL, Churn, (void *)(i + 9));
  for (int i = 0; i < 1000; ++i) free(malloc(i));
  stop = 1;
  for (int i = 0; i < 2; ++i) pthread_join(threads[i], NULL);
  if (number % 2 == 0) exit(0);
  _exit(0);
}

int main(void) {
  pthread_t threads[4];
  for (size_t i = 0; i < 4; ++i) pthread_create(&threads[i], NULL, Churn, (void *)(i + 1));
  int failed = 0;
  for (int i = 0; i < 60; ++i) {
    pid_t child = fork();
    if (child == 0) Child(i);
    int status;
    waitpid(child, &status, 0);
    failed += status != 0;
  }
  stop = 1;
  for (int i = 0; i < 4; ++i) pthread_join(threads[i], NULL);
  printf("%d children failed\n", failed);
  return failed != 0;
}
