// dlsym, dlopen and dlerror allocate inside the loader (messages of failures, of several threads).
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

static void* Fail(void* counter) {
  for (int i = 0; i < 20; ++i) {
    if (dlsym(RTLD_DEFAULT, "no_such_symbol_anywhere") == NULL && dlerror() != NULL) ++*(int*)counter;
  }
  dlopen("/no/such/object.so", RTLD_NOW);
  return NULL;
}

int main(void) {
  int counts[4] = {0};
  Fail(&counts[0]);
  for (int i = 1; i < 4; ++i) {
    pthread_t thread;
    pthread_create(&thread, NULL, Fail, &counts[i]);
    pthread_join(thread, NULL);
  }
  void* (*found)(size_t) = (void* (*)(size_t))dlsym(RTLD_NEXT, "malloc");
  free(found(90));
  if (found(91) == NULL) return 1;
  printf("%d %d\n", counts[0], counts[3]);
  return 0;
}
