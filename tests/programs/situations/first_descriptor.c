// The first descriptor a program opens has the number it has without leakhunt, and errno is never touched by success.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

int main(void) {
  errno = 77;
  int first = open("/dev/null", O_RDONLY);
  int second = dup(first);
  for (int i = 0; i < 10000; ++i) free(realloc(malloc(i), 2 * i + 1));
  void *mapped = mmap(NULL, 8192, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  munmap(mapped, 4096);
  close(second);
  printf("first %d second %d errno %d\n", first, second, errno);
  printf("close again %d", close(second));
  printf(" errno %d\n", errno == EBADF);
  void *volatile too_much = malloc((size_t)-1 / 4);
  printf("huge %p errno %d\n", too_much, errno == ENOMEM);
  return 0;
}
