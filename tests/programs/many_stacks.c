// Allocates from 100,000 different call sites of depth 18 and more, frees every second block, and waits: many_stacks SECONDS.
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { kStacks = 100000, kDepth = 18 };

// Which of the two calls is made at each level is one bit of the path.
__attribute__((noinline)) static void* Allocate(int depth, unsigned long path) {
  if (depth == 0) return malloc(40);
  void* block = (path & 1) != 0 ? Allocate(depth - 1, path >> 1) : Allocate(depth - 1, path >> 1 | 1UL << 60);
  __asm__ volatile("" : "+r"(block));  // no tail call
  return block;
}

int main(int count, char** words) {
  for (unsigned long path = 0; path < kStacks; ++path) {
    void* block = Allocate(kDepth, path);
    if (path % 2 != 0) free(block);
  }
  puts("done");
  fflush(stdout);
  sleep(count > 1 ? (unsigned)atoi(words[1]) : 0);
  return 0;
}
