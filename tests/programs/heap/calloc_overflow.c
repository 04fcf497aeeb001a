// A calloc whose product overflows gives nothing and must not be counted; the others are counted by product.
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int main(void) {
  size_t volatile large = SIZE_MAX / 4;
  int refused = 0;
  for (int i = 0; i < 10; ++i) {
    errno = 0;
    refused += calloc(large, 8) == NULL && errno == ENOMEM;
  }
  for (int i = 1; i <= 30; ++i) {
    char* block = calloc((size_t)i, 12);
    if (i % 2) free(block);
  }
  printf("%d refused\n", refused);
  return 0;
}
