// posix_memalign, aligned_alloc, memalign and valloc, freed and kept; bad alignments give nothing.
#define _GNU_SOURCE
#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>

int main(void) {
  int bad = 0;
  for (size_t alignment = 16; alignment <= 65536; alignment *= 2) {
    void* block = NULL;
    if (posix_memalign(&block, alignment, 100) != 0) return 1;
    if (alignment % 64 == 0) free(block);
    free(aligned_alloc(alignment, alignment * 2));
    if (aligned_alloc(alignment, alignment) == NULL) return 1;
    if (memalign(alignment, 51) == NULL) return 1;
  }
  void* nothing = NULL;
  bad += posix_memalign(&nothing, 3, 10) == EINVAL;
  bad += valloc(300) == NULL;
  void* resized = memalign(4096, 1000);
  resized = realloc(resized, 5000);
  printf("%d bad\n", bad);
  return resized == NULL;
}
