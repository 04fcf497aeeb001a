// Growing, shrinking and moving blocks; realloc(NULL) is a birth; reallocarray counts as realloc.
#define _GNU_SOURCE
#include <stdlib.h>

int main(void) {
  char* grown = NULL;
  for (size_t bytes = 1; bytes <= 1 << 20; bytes *= 2) grown = realloc(grown, bytes);
  for (int chain = 0; chain < 100; ++chain) {
    char* block = malloc(16);
    for (size_t bytes = 17; bytes < 17 + (size_t)chain * 40; bytes += 23) block = realloc(block, bytes);
    if (chain % 3 == 0) free(block);
  }
  char* shrunk = malloc(100000);
  shrunk = realloc(shrunk, 10);
  int* array = reallocarray(NULL, 100, sizeof(int));
  array = reallocarray(array, 250, sizeof(int));
  return grown == NULL || shrunk == NULL || array == NULL;
}
