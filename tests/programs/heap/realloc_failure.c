// A realloc that fails leaves the old block as it was; so does a reallocarray that overflows.
#define _GNU_SOURCE
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int main(void) {
  size_t volatile huge = PTRDIFF_MAX;
  size_t volatile half = SIZE_MAX / 2;
  char* kept = malloc(123);
  char* freed = malloc(456);
  int failures = 0;
  for (int i = 0; i < 10; ++i) {
    errno = 0;
    failures += realloc(kept, huge) == NULL && errno == ENOMEM;
    failures += reallocarray(freed, half, 3) == NULL;
    failures += realloc(NULL, huge) == NULL;
  }
  free(freed);
  kept[122] = 'x';
  printf("%d failures\n", failures);
  return failures == 30 ? 0 : 1;
}
