// A forked child frees 300 of the 1,000 blocks it inherited, works on for half a second and is killed.
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

__attribute__((noinline)) static void *Inherited(void) { return malloc(100); }

void *inherited[1000], *own[4000];  // not static: the compiler would drop what nobody reads

static void Child(void) {
  for (int i = 0; i < 300; ++i) free(inherited[i]);
  for (int i = 0; i < 4000; ++i) {
    own[i] = malloc(50);
    if (i % 10 == 0) usleep(1000);
  }
  raise(SIGKILL);
}

int main(void) {
  for (int i = 0; i < 1000; ++i) inherited[i] = Inherited();
  pid_t child = fork();
  if (child == 0) Child();
  int status;
  waitpid(child, &status, 0);
  return !WIFSIGNALED(status);
}
