// A daemon of the old school: forks twice, closes every descriptor, may move to another root, and lives some tenths of a
// second. Leaves 100 blocks.
//
//   becomes_daemon stay|chroot|raw TENTHS [DIRECTORY]
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static void *kept[100];

int main(int argc, char **argv) {
  if (argc < 3) return 2;
  if (fork() != 0) return 9;
  setsid();
  if (fork() != 0) _exit(0);
  for (int fd = 0; fd < 1024; ++fd) close(fd);
  open("/dev/null", O_RDWR);
  if (dup(0) < 0 || dup(0) < 0) return 3;
  if (argc > 3) {
    if (strcmp(argv[1], "raw") == 0 && syscall(SYS_chroot, argv[3]) != 0) return 4;
    if (strcmp(argv[1], "chroot") == 0 && chroot(argv[3]) != 0) return 4;
    if (chdir("/") != 0) return 4;
  }
  for (int i = 0; i < 100; ++i) kept[i] = malloc(12345);
  for (int i = 0; i < atoi(argv[2]); ++i) usleep(100000);
  return 0;
}
