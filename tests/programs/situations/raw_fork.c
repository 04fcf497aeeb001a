// Children that no atfork handler knows of: _Fork and the system call itself. They allocate, free inherited blocks, end.
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

pid_t _Fork(void) __attribute__((weak));

static void *inherited[100];

static void Child(void) {
  for (int i = 0; i < 50; ++i) free(inherited[i]);
  for (int i = 0; i < 1000; ++i) free(malloc(i + 1));
  inherited[0] = malloc(10);
  _exit(inherited[0] == NULL);
}

int main(void) {
  for (int i = 0; i < 100; ++i) inherited[i] = malloc(100);
  int failed = 0;
  for (int i = 0; i < 20; ++i) {
    pid_t child = i % 2 == 0 && _Fork != NULL ? _Fork() : (pid_t)syscall(SYS_fork);
    if (child == 0) Child();
    int status;
    waitpid(child, &status, 0);
    failed += status != 0;
  }
  for (int i = 0; i < 100; ++i) free(inherited[i]);
  printf("%d children failed\n", failed);
  return failed != 0;
}
