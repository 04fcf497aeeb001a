// realloc to zero bytes frees in glibc and returns NULL; malloc(0) and calloc(0) give blocks of no bytes.
#include <stdio.h>
#include <stdlib.h>

int main(void) {
  int nulls = 0;
  size_t volatile zero = 0;
  for (int i = 0; i < 20; ++i) {
    char* block = malloc(77);
    nulls += realloc(block, zero) == NULL;
  }
  for (int i = 0; i < 5; ++i) nulls += malloc(zero) == NULL;
  for (int i = 0; i < 5; ++i) nulls += calloc(zero, 9) == NULL;
  char* from_nothing = realloc(NULL, zero);
  free(from_nothing);
  printf("%d nulls\n", nulls);
  return 0;
}
