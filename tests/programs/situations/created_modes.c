// A file that open makes has the mode that was asked for; where nothing is made the argument is not looked at, and what fails says why.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static void say(const char *how, int fd) {
  struct stat status = {0};
  int error = fd < 0 ? errno : 0;
  if (fd >= 0) fstat(fd, &status);
  printf("%s: fd %d, error %d, mode %o, flags %x\n", how, fd, error, status.st_mode, fd < 0 ? 0 : fcntl(fd, F_GETFL));
  errno = 0;
  int result = close(fd);
  printf("close %d, error %d\n", result, errno);
}

int main(void) {
  char directory[] = "/tmp/created_modes.XXXXXX";
  if (mkdtemp(directory) == NULL || chdir(directory) != 0) return 1;
  umask(027);
  int at = open(".", O_RDONLY | O_DIRECTORY);
  for (int i = 0; i < 20; ++i) {
    say("open", open("a", O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0666));
    say("open again", open("a", O_CREAT | O_EXCL | O_WRONLY, 0666));
    say("open64", open64("b", O_CREAT | O_RDWR | O_APPEND, 0751));
    say("openat", openat(at, "c", O_CREAT | O_RDWR, 04755));
    say("openat64", openat64(at, "d", O_CREAT | O_RDWR, 0600));
    say("nameless", open(".", O_TMPFILE | O_RDWR, 0640));
    say("there", open("a", O_RDONLY));
    say("not there", open("e", O_RDONLY));
    say("under what is no directory", openat(at, "a/f", O_RDONLY));
    say("nowhere", openat(-5, "a", O_RDONLY));
    say("no path", open((const char *)8, O_RDONLY));
    for (const char *name = "abcd"; *name != 0; ++name) unlinkat(at, (char[]){*name, 0}, 0);
  }
  close(at);
  return rmdir(directory);
}
