// The floor of every preload library: forwards malloc and free and does nothing else. Benchmarks compare with it.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stddef.h>
#include <string.h>

static void* (*next_malloc)(size_t);
static void* (*next_calloc)(size_t, size_t);
static void* (*next_realloc)(void*, size_t);
static void (*next_free)(void*);

// dlsym may call calloc before next_calloc is known.
static char early[4096];
static size_t early_used;

static void Resolve(void) {
  next_malloc = (void* (*)(size_t))dlsym(RTLD_NEXT, "malloc");
  next_realloc = (void* (*)(void*, size_t))dlsym(RTLD_NEXT, "realloc");
  next_free = (void (*)(void*))dlsym(RTLD_NEXT, "free");
  next_calloc = (void* (*)(size_t, size_t))dlsym(RTLD_NEXT, "calloc");
}

void* malloc(size_t bytes) {
  if (__builtin_expect(next_malloc == NULL, 0)) Resolve();
  return next_malloc(bytes);
}

void* calloc(size_t count, size_t bytes) {
  static int resolving;
  if (__builtin_expect(next_calloc == NULL, 0)) {
    if (resolving) {
      void* block = early + early_used;
      early_used += (count * bytes + 15) & ~(size_t)15;
      return early_used <= sizeof(early) ? block : NULL;
    }
    resolving = 1;
    Resolve();
  }
  return next_calloc(count, bytes);
}

void* realloc(void* block, size_t bytes) {
  if (__builtin_expect(next_realloc == NULL, 0)) Resolve();
  return next_realloc(block, bytes);
}

void free(void* block) {
  if (__builtin_expect((char*)block >= early && (char*)block < early + sizeof(early), 0)) return;
  if (__builtin_expect(next_free == NULL, 0)) Resolve();
  next_free(block);
}
