// Started with some of 0, 1 and 2 closed: says into the file FILE which numbers its own openings get, and leaves 100 blocks.
//
//   low_descriptors FILE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void *kept[100];

int main(int argc, char **argv) {
  if (argc < 2) return 2;
  char text[64] = "";
  for (int i = 0; i < 4; ++i) sprintf(text + strlen(text), "%d ", open("/dev/null", O_RDWR));
  for (int i = 0; i < 100; ++i) kept[i] = malloc(48);
  if (write(2, "word\n", 5) != 5) strcat(text, "no stderr ");
  int out = open(argv[1], O_WRONLY | O_CREAT | O_TRUNC, 0600);
  sprintf(text + strlen(text), "%d\n", out);
  return write(out, text, strlen(text)) > 0 ? 0 : 1;
}
