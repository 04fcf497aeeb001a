// A daemon that closes every descriptor from 3 up, several ways, and goes on: neither side is harmed, and the numbers it
// gets are those it would have had.
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int main(void) {
  int closed = 0;
  for (int fd = 3; fd < 4096; ++fd) closed += close(fd) == 0;
  printf("%d were open\n", closed);
  printf("the next open gets %d\n", open("/dev/null", O_RDONLY));
  close_range(3, ~0U, 0);
  printf("and again %d\n", open("/dev/null", O_RDONLY));
  for (int i = 0; i < 100000; ++i) free(malloc(i & 1023));
  printf("dup2 to a high number: %d\n", dup2(3, 1009));
  closefrom(3);
  for (int i = 0; i < 100000; ++i) free(malloc(i & 1023));
  printf("at last %d\n", open("/dev/null", O_RDONLY));
  return 0;
}
