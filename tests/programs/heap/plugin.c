// The object dlopen_reuse loads: one leaking function, one that frees, memory of its own at load and unload.
#include <stdlib.h>

static char* at_load;
__attribute__((constructor)) static void Load(void) { at_load = malloc(500); }
__attribute__((destructor)) static void Unload(void) { free(at_load); }

void* PluginAllocate(size_t bytes) { return malloc(bytes); }
void PluginFree(void* block) { free(block); }
