// Address space that is not memory, and mappings that become memory bit by bit.
//
//   address_space reserve|touch|shared SECONDS
//
// reserve: 64 MiB without access every tenth of a second, one page of each touched. touch: one mapping of 1 GiB, of
// which 1 MiB more is written every tenth of a second. shared: the same in a segment of /dev/shm. Prints what it touched.
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { kStep = 1 << 20, kReservation = 64 << 20 };
static const size_t kWhole = (size_t)1 << 30;

__attribute__((noinline)) static void reserve_some(void) {
  char* at = mmap(0, kReservation, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (at == MAP_FAILED || mprotect(at, 4096, PROT_READ | PROT_WRITE) != 0) exit(1);
  *at = 1;
}

__attribute__((noinline)) static char* map_whole(int shared) {
  int fd = -1;
  if (shared) {
    char name[64];
    snprintf(name, sizeof(name), "/leakhunt-test-%d", getpid());
    fd = shm_open(name, O_RDWR | O_CREAT | O_EXCL, 0600);
    if (fd < 0 || shm_unlink(name) != 0 || ftruncate(fd, (off_t)kWhole) != 0) exit(1);
  }
  const int flags = shared ? MAP_SHARED : MAP_PRIVATE | MAP_ANONYMOUS;
  char* at = mmap(0, kWhole, PROT_READ | PROT_WRITE, flags, fd, 0);
  if (at == MAP_FAILED) exit(1);
  madvise(at, kWhole, MADV_NOHUGEPAGE);
  return at;
}

int main(int count, char** arguments) {
  if (count < 3) return 2;
  const int reserve = strcmp(arguments[1], "reserve") == 0;
  const int steps = 10 * atoi(arguments[2]);
  char* whole = reserve ? 0 : map_whole(strcmp(arguments[1], "shared") == 0);
  for (int i = 0; i < steps; i++) {
    if (reserve) reserve_some();
    else memset(whole + (size_t)i * kStep, 1, kStep);
    usleep(100000);
  }
  printf("%zu\n", reserve ? (size_t)steps * 4096 : (size_t)steps * kStep);
  fflush(stdout);
  usleep(1500000);
  _exit(0);
}
