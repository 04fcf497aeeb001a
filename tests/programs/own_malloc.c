// An executable that defines malloc itself and offers it to its libraries, as one with a static jemalloc does; its
// libraries' blocks come from it. Leaks 300 texts made by the C library, and frees 300 more.
//
// With the argument "service": then leaks ten more every 20 ms until SIGTERM.
#define _GNU_SOURCE
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { kHeader = 16 };
static char *at, *end;

void* malloc(size_t bytes) {
  size_t whole = (bytes + kHeader + 15) & ~(size_t)15;
  if (at == NULL || whole > (size_t)(end - at)) {
    size_t chunk = whole > 1 << 20 ? whole : 1 << 20;
    at = mmap(NULL, chunk, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED) return at = NULL, errno = ENOMEM, NULL;
    end = at + chunk;
  }
  char* block = at + kHeader;
  *(size_t*)at = bytes;
  at += whole;
  return block;
}
void free(void* block) { (void)block; }
void* calloc(size_t count, size_t size) { return malloc(count * size); }
void* realloc(void* old, size_t bytes) {
  void* block = malloc(bytes);
  if (old != NULL && block != NULL) {
    size_t had = *(size_t*)((char*)old - kHeader);
    memcpy(block, old, had < bytes ? had : bytes);
  }
  return block;
}

static char* kept[300];

__attribute__((noinline)) static void LeakText(int i) {
  char text[64];
  snprintf(text, sizeof(text), "this is the text number %09d of all", i);
  kept[i % 300] = strdup(text);
}

int main(int argc, char** argv) {
  for (int i = 0; i < 300; ++i) LeakText(i);
  for (int i = 0; i < 300; ++i) {
    char* line = NULL;
    size_t size = 0;
    FILE* stream = fmemopen("a line\n", 7, "r");
    if (getline(&line, &size, stream) != 7) return 1;
    fclose(stream);
  }
  printf("texts are kept: %s\n", kept[299]);
  fflush(stdout);
  for (int i = 0; argc > 1 && strcmp(argv[1], "service") == 0; i += 10, usleep(20000)) {
    for (int k = 0; k < 10; ++k) LeakText(i + k);
  }
  return 0;
}
