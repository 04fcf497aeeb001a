// Works for a while with what it may have, and says what came of it: to be run under limits of every kind.
//
//   limited [mlockall] [descriptors]
//
// 200,000 blocks come and go, 2,000 stay (Keep), 50 MiB are touched and freed, files are opened and closed, a child is
// forked. "descriptors": opens files until there are no more and closes them. A sum over everything is printed.
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static void* kept[2000];

__attribute__((noinline)) static void Keep(int i) { kept[i] = malloc(100); }

static uint64_t Churn(void) {
  void* slots[500] = {0};
  uint64_t sum = 0;
  uint32_t seed = 1;
  for (int i = 0; i < 200000; ++i) {
    seed = seed * 1664525u + 1013904223u;
    uint32_t slot = (seed >> 8) % 500;
    free(slots[slot]);
    slots[slot] = malloc(16 + (seed >> 22));
    if (slots[slot] == NULL) return printf("malloc failed at %d\n", i), 0;
    memset(slots[slot], (int)slot, 16);
    sum += *(unsigned char*)slots[slot];
  }
  for (int i = 0; i < 500; ++i) free(slots[i]);
  return sum;
}

static int OpenAll(void) {
  static int fds[100000];
  int count = 0;
  while (count < 100000 && (fds[count] = open("/dev/null", O_RDONLY)) >= 0) ++count;
  int error = errno;
  for (int i = 0; i < count; ++i) close(fds[i]);
  return error;
}

int main(int argc, char** argv) {
  for (int i = 1; i < argc; ++i) {
    if (strcmp(argv[i], "mlockall") == 0 && mlockall(MCL_CURRENT | MCL_FUTURE) != 0) perror("mlockall");
  }
  uint64_t sum = Churn();
  for (int i = 0; i < 2000; ++i) Keep(i), sum += kept[i] != NULL;
  for (int i = 0; i < 50; ++i) {
    char* large = malloc(1 << 20);
    if (large == NULL) return printf("no large block %d\n", i), 1;
    memset(large, i, 1 << 20);
    sum += (unsigned char)large[12345];
    free(large);
  }
  for (int i = 0; i < 100; ++i) {
    int fd = open("/dev/zero", O_RDONLY);
    char byte = 1;
    if (fd < 0 || read(fd, &byte, 1) != 1) return printf("no file: %s\n", strerror(errno)), 1;
    sum += (unsigned char)byte;
    close(fd);
  }
  for (int i = 1; i < argc; ++i) {
    if (strcmp(argv[i], "descriptors") == 0) printf("then: %s\n", strerror(OpenAll()));
  }
  fflush(stdout);
  pid_t child = fork();
  if (child == 0) _exit(Churn() == 0);
  int status = -1;
  waitpid(child, &status, 0);
  printf("sum %llu, child %d\n", (unsigned long long)sum, status);
  return 0;
}
