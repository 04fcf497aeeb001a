// Blocks are born in one thread and freed in another, in both directions; every seventh stays.
#include <pthread.h>
#include <stdlib.h>

enum { kBlocks = 2000 };
static void* blocks[kBlocks];

static void* FreeMost(void* unused) {
  (void)unused;
  for (int i = 0; i < kBlocks; ++i) {
    if (i % 7 != 0) free(blocks[i]);
  }
  for (int i = 0; i < 50; ++i) blocks[i] = malloc(33);
  return NULL;
}

int main(void) {
  for (int i = 0; i < kBlocks; ++i) blocks[i] = malloc((size_t)(i % 300) + 1);
  pthread_t thread;
  pthread_create(&thread, NULL, FreeMost, NULL);
  pthread_join(thread, NULL);
  for (int i = 0; i < 50; i += 2) free(blocks[i]);
  return 0;
}
