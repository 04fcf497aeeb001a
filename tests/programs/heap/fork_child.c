// A child frees what it inherited and leaks its own; the parent's figures must not move.
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

int main(void) {
  static char* blocks[200];
  for (int i = 0; i < 200; ++i) blocks[i] = malloc((size_t)i + 10);
  for (int child = 0; child < 3; ++child) {
    pid_t pid = fork();
    if (pid == 0) {
      for (int i = 0; i < 150; ++i) free(blocks[i]);
      for (int i = 0; i < 150; ++i) blocks[i] = malloc(1000);
      _exit(child);
    }
    int status = 0;
    waitpid(pid, &status, 0);
    if (WEXITSTATUS(status) != child) return 1;
  }
  for (int i = 0; i < 200; i += 4) free(blocks[i]);
  return 0;
}
