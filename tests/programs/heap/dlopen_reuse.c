// The same addresses hold two different objects one after the other; blocks born in an unloaded one stay.
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

typedef void* (*Allocate)(size_t);
typedef void (*Free)(void*);

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  void* kept = NULL;
  for (int round = 0; round < 20; ++round) {
    void* object = dlopen(argv[1 + round % 2], RTLD_NOW | RTLD_LOCAL);
    if (object == NULL) {
      fprintf(stderr, "%s\n", dlerror());
      return 1;
    }
    Allocate allocate = (Allocate)dlsym(object, "PluginAllocate");
    Free release = (Free)dlsym(object, "PluginFree");
    if (kept != NULL) release(kept);
    kept = allocate((size_t)round * 10 + 5);
    allocate(64);
    dlclose(object);
  }
  return 0;
}
