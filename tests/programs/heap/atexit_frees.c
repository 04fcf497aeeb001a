// Handlers of exit free old blocks and leave new ones, in reverse order of registration.
#include <stdlib.h>

static char* held[100];

static void FreeHalf(void) {
  for (int i = 0; i < 100; i += 2) free(held[i]);
}

static void LeaveOne(void) { held[0] = realloc(held[0], 4321); }

__attribute__((destructor)) static void FreeThree(void) {
  free(held[1]);
  free(held[3]);
  free(held[5]);
  held[7] = malloc(11);
}

int main(void) {
  for (int i = 0; i < 100; ++i) held[i] = malloc((size_t)i + 1);
  atexit(FreeHalf);
  atexit(LeaveOne);
  return 0;
}
