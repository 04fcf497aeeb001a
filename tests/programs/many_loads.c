// Loads two objects in turn, at the same addresses, more often than leakhunt has places for objects; keeps a block of each.
//   many_loads OBJECT OBJECT ROUNDS
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv) {
  if (argc != 4) return 2;
  for (int round = 0; round < atoi(argv[3]); ++round) {
    void *object = dlopen(argv[1 + round % 2], RTLD_NOW | RTLD_LOCAL);
    if (object == NULL) {
      fprintf(stderr, "%s\n", dlerror());
      return 1;
    }
    void *(*allocate)(size_t) = (void *(*)(size_t))dlsym(object, "PluginAllocate");
    *(void *volatile *)allocate(64) = object;
    dlclose(object);
  }
  return 0;
}
