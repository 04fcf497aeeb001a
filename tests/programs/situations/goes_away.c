// A program of a millisecond that goes to another directory, or into another root, before it ends: leaves 100 blocks.
//
//   goes_away stay|chdir|chroot DIRECTORY
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void *kept[100];

int main(int argc, char **argv) {
  if (argc < 3) return 2;
  for (int i = 0; i < 100; ++i) kept[i] = malloc(48);
  if (strcmp(argv[1], "chroot") == 0 && chroot(argv[2]) != 0) return 3;
  if (strcmp(argv[1], "stay") != 0 && chdir(strcmp(argv[1], "chroot") == 0 ? "/" : argv[2]) != 0) return 3;
  return 7;
}
