// A program of a millisecond that goes to another directory, or into another root, before it ends: leaves 100 blocks.
//
//   goes_away stay|chdir|chroot DIRECTORY [MICROSECONDS to live]
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void *kept[100];

int main(int argc, char **argv) {
  if (argc < 3) return 2;
  for (int i = 0; i < 100; ++i) kept[i] = malloc(48);
  const int moves = strcmp(argv[1], "chroot") == 0;
  if (moves && chroot(argv[2]) != 0) return 3;
  if (strcmp(argv[1], "stay") != 0 && chdir(moves ? "/" : argv[2]) != 0) return 3;
  if (argc > 3) usleep((useconds_t)atoi(argv[3]));
  return 7;
}
