// Children made by _Fork while another thread is in the loader: its lock stays taken in them for good. What they call for
// the first time of the program's life, and may call, must not need it.
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <unistd.h>

static volatile int stop;

static void* load_and_unload(void* unused) {
  while (!stop) {
    void* library = dlopen("libm.so.6", RTLD_NOW | RTLD_LOCAL);
    if (library != NULL) dlsym(library, "no such function"), dlclose(library);
  }
  return unused;
}

static int child_ends(void) {
  pid_t child = _Fork();
  if (child == 0) {
    alarm(20);  // a hang ends as a signal
    int fd = eventfd(0, 0), poll = epoll_create1(0);
    int same = dup(fd);
    close(fd), close(poll), close(same);
    char* none[] = {"none", NULL};
    execv("/nonexistent", none);
    _exit(7);
  }
  int status = -1;
  waitpid(child, &status, 0);
  return status;
}

int main(void) {
  pthread_t thread[2];
  for (int i = 0; i < 2; ++i) pthread_create(&thread[i], NULL, load_and_unload, NULL);
  int ended = 0;
  for (int i = 0; i < 400; ++i) ended += child_ends() == 7 << 8;
  stop = 1;
  for (int i = 0; i < 2; ++i) pthread_join(thread[i], NULL);
  printf("%d of 400 children came to their end\n", ended);
  return 0;
}
