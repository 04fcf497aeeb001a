// vfork children share memory: what they close and dup is theirs, not the parent's.
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

int main(void) {
  int fd = open("/dev/null", O_RDONLY);
  int failed = 0;
  for (int i = 0; i < 100; ++i) {
    pid_t child = vfork();
    if (child == 0) {
      close(fd);
      dup2(0, 50);
      if (i % 2 == 0) execl("/bin/true", "true", (char *)NULL);
      _exit(0);
    }
    int status;
    waitpid(child, &status, 0);
    failed += status != 0;
    free(malloc(100));
  }
  printf("%d failed; %d is %s\n", failed, fd, fcntl(fd, F_GETFD) >= 0 ? "open" : "closed");
  return failed != 0;
}
