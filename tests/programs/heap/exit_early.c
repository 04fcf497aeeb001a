// _exit: no handler runs, no stream is flushed, and what was live is live.
#include <stdlib.h>
#include <unistd.h>

static void Never(void) { free(malloc(1 << 20)); }

int main(void) {
  atexit(Never);
  for (int i = 0; i < 300; ++i) {
    char* block = malloc(48);
    if (i % 3) free(block);
  }
  _exit(7);
}
