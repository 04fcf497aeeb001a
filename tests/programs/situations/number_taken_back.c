// A connection that the program closed by a system call of its own, whose number it then had for a file, closed unseen, and
// which is the connection's again: it is not the program's to close.
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { kNumbers = 64 };

static void CloseUnseen(int fd) {
#if defined(__x86_64__)
  long result;
  __asm__ volatile("syscall" : "=a"(result) : "0"((long)SYS_close), "D"((long)fd) : "rcx", "r11", "memory");
#else
  close(fd);
#endif
}

static int IsSocket(int fd) {
  char name[32], what[64] = "";
  snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
  return readlink(name, what, sizeof(what) - 1) > 0 && strncmp(what, "socket:", 7) == 0;
}

// Calls that are recorded, until there is a socket again or, alone, for as long as that may take.
static int AwaitSocket(int wanted) {
  const time_t end = time(NULL) + 4;
  do {
    for (int i = 0; i < 20000; ++i) free(malloc(i & 1023));
    for (int fd = 3; wanted && fd < kNumbers; ++fd) {
      if (IsSocket(fd)) return 1;
    }
  } while (wanted && time(NULL) < end);
  return 0;
}

int main(int argc, char** argv) {
  if (argc == 1) {  // low numbers for everybody
    struct rlimit few = {kNumbers, kNumbers};
    setrlimit(RLIMIT_NOFILE, &few);
    execl("/proc/self/exe", argv[0], "again", NULL);
    return 1;
  }
  const int watched = AwaitSocket(getenv("LD_PRELOAD") != NULL);
  for (int fd = 3; fd < kNumbers; ++fd) {
    if (IsSocket(fd)) CloseUnseen(fd);
  }
  int opened[kNumbers], count = 0;
  for (int fd; count < kNumbers && (fd = open("/etc/passwd", O_RDONLY)) >= 0;) opened[count++] = fd;
  for (int i = 0; i < count; ++i) CloseUnseen(opened[i]);
  if (watched && !AwaitSocket(1)) fprintf(stderr, "the collector was not found again\n");
  int closed = 0;
  for (int fd = 3; fd < kNumbers; ++fd) closed += close(fd) == 0;
  printf("%d were open\n", closed);
  for (int fd = 3; fd < kNumbers && watched; ++fd) {
    if (IsSocket(fd)) return 0;
  }
  if (watched) fprintf(stderr, "the connection is gone\n");
  return 0;
}
