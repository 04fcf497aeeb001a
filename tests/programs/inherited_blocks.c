// A forked child frees 300 of the 1,000 blocks it inherited, makes 500 of its own, and forks in turn. The grandchild frees
// 100 of each, works on for half a second and is killed; then the child is.
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

__attribute__((noinline)) static void *Inherited(void) { return malloc(100); }
__attribute__((noinline)) static void *OfTheChild(void) { return malloc(60); }

void *inherited[1000], *of_the_child[500], *own[4000];  // not static: the compiler would drop what nobody reads

static void WorkAndDie(void) {
  for (int i = 0; i < 4000; ++i) {
    own[i] = malloc(50);
    if (i % 10 == 0) usleep(1000);
  }
  raise(SIGKILL);
}

static void Grandchild(void) {
  for (int i = 300; i < 400; ++i) free(inherited[i]);
  for (int i = 0; i < 100; ++i) free(of_the_child[i]);
  WorkAndDie();
}

static void Child(void) {
  for (int i = 0; i < 300; ++i) free(inherited[i]);
  for (int i = 0; i < 500; ++i) of_the_child[i] = OfTheChild();
  if (fork() == 0) Grandchild();
  wait(NULL);
  WorkAndDie();
}

int main(void) {
  for (int i = 0; i < 1000; ++i) inherited[i] = Inherited();
  pid_t child = fork();
  if (child == 0) Child();
  int status;
  waitpid(child, &status, 0);
  return !WIFSIGNALED(status);
}
