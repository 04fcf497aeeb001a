// fork_in_dlclose PLUGIN...: a thread for each plugin loads it, lets it allocate and unloads it, again and again; children are
// forked meanwhile, and each allocates once. A child finds objects half unmapped.
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

enum { kChildren = 400 };

static volatile int stop;

static void* Reload(void* path) {
  while (!stop) {
    void* object = dlopen(path, RTLD_NOW);
    if (object == NULL) abort();
    void* (*allocate)(size_t) = (void* (*)(size_t))dlsym(object, "PluginAllocate");
    free(allocate(10));
    dlclose(object);
  }
  return NULL;
}

int main(int argc, char** argv) {
  pthread_t threads[8];
  for (int i = 1; i < argc; ++i) pthread_create(&threads[i - 1], NULL, Reload, argv[i]);
  int killed = 0;
  for (int i = 0; i < kChildren; ++i) {
    pid_t child = i % 2 == 0 ? fork() : _Fork();
    if (child == 0) {
      close(open("/dev/null", O_RDONLY));
      if (i % 2 == 0) free(malloc(10));
      _exit(0);
    }
    int status = 0;
    waitpid(child, &status, 0);
    killed += WIFSIGNALED(status);
  }
  stop = 1;
  for (int i = 1; i < argc; ++i) pthread_join(threads[i - 1], NULL);
  printf("%d of %d children killed by a signal\n", killed, kChildren);
  return 0;
}
