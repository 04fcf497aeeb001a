// A service with one of each: a start-up table, a cache that turns over, a leak of memory and of descriptors in the scope
// "sync", work in the scope "serve", and a heap that fragments. needy_service steady|fragment SECONDS
//
// Built twice: with FIXED the leaks are mended, and a function more moves every address, as in a next version.
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "preload/leakhunt.h"

#define KEEP __attribute__((noinline))

enum { kTable = 2000, kCache = 500 };
static char* table[kTable];
static char* cache[kCache];
static unsigned made;

#ifdef FIXED
KEEP int checksum(const char* text) {
  int sum = 0;
  while (*text) sum = sum * 31 + *text++;
  return sum;
}
#endif

KEEP static void load_table(void) {
  for (int i = 0; i < kTable; ++i) memset(table[i] = malloc(300), 1, 300);
}

KEEP static void serve_page(unsigned i) {
  leakhunt_scope_begin("serve");
  char* page = malloc(2000 + i % 700);
  memset(page, 2, 2000);
  unsigned place = i % kCache;
  free(cache[place]);
  cache[place] = page;
  leakhunt_scope_end();
}

KEEP static char* make_session(void) { return malloc(1500); }

KEEP static void sync_peer(unsigned i) {
  leakhunt_scope_begin("sync");
  char* session = make_session();
  memset(session, 3, 1500);
  int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
#ifdef FIXED
  free(session);
  close(fd);
#else
  if (i % 4 == 0) free(session);
  if (i % 20 != 0) close(fd);
#endif
  made += i % 4 != 0;
  leakhunt_scope_end();
}

// 64 MiB of small blocks, of which every sixteenth stays: the allocator can give nothing back.
KEEP static void fragment(void) {
  enum { kBlocks = 1 << 16 };
  static char* blocks[kBlocks];
  for (int i = 0; i < kBlocks; ++i) memset(blocks[i] = malloc(1000), 4, 1000);
  for (int i = 0; i < kBlocks; ++i) {
    if (i % 16 != 0) free(blocks[i]), blocks[i] = NULL;
  }
}

int main(int argc, char** argv) {
  if (argc != 3) return fprintf(stderr, "usage: needy_service steady|fragment SECONDS\n"), 2;
  struct timespec turn = {0, 2000000}, now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  double end = (double)now.tv_sec + atof(argv[2]);
  load_table();
  if (!strcmp(argv[1], "fragment")) fragment();
  for (unsigned i = 1; (double)now.tv_sec < end; ++i) {
    for (unsigned k = 0; k < 4; ++k) serve_page(4 * i + k);
    if (!strcmp(argv[1], "steady")) sync_peer(i);
    nanosleep(&turn, NULL);
    clock_gettime(CLOCK_MONOTONIC, &now);
  }
#ifdef FIXED
  if (checksum("end") == 0) return 3;
#endif
  printf("%u\n", made);
  return 0;
}
