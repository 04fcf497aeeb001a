// Leaves a known amount of memory live at one call site: sampling_mix small|mixed|large TOTAL_BYTES. Sizes come from a
// fixed generator, so every run holds the same blocks. Prints "BYTES BLOCKS" of what is live.
//
// As many blocks as $LEAKHUNT_SEED says come and go before: which records are kept at the memory bound depends on how many
// there were, and runs under other seeds are to be other draws.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t state = 88172645463325252u;

static uint64_t Next(void) {
  state ^= state << 13;
  state ^= state >> 7;
  state ^= state << 17;
  return state;
}

// small: 16 to 215 bytes. mixed: log-uniform from 16 bytes to 64 KiB. large: 4 KiB to 256 KiB.
static size_t NextSize(char kind) {
  if (kind == 's') return 16 + Next() % 200;
  if (kind == 'l') return 4096 + Next() % (252 * 1024);
  size_t octave = (size_t)16 << (Next() % 12);
  return octave + Next() % octave;
}

__attribute__((noinline)) static void* KeptSite(size_t bytes) { return malloc(bytes); }
__attribute__((noinline)) static void* FreedSite(size_t bytes) { return malloc(bytes); }

int main(int argc, char** argv) {
  if (argc != 3 || strchr("sml", argv[1][0]) == NULL) return 2;
  size_t total = strtoull(argv[2], NULL, 10), bytes = 0, blocks = 0;
  void* previous = NULL;  // keeps the compiler from dropping a call, and every block reachable
  const char* seed = getenv("LEAKHUNT_SEED");
  for (long i = 0; seed != NULL && i < atol(seed); ++i) free(FreedSite(24));
  while (bytes < total) {
    size_t size = NextSize(argv[1][0]);
    void** block = KeptSite(size < sizeof(void*) ? sizeof(void*) : size);
    if (block == NULL) return 1;
    *block = previous;
    previous = block;
    bytes += size;
    ++blocks;
    if (blocks % 3 == 0) free(FreedSite(size));
  }
  printf("%zu %zu\n", bytes, blocks);
  return 0;
}
