// A child made by clone that shares the program's memory and has no thread storage of its own, as Chromium's sandbox makes
// one to leave the file system behind: it may call what needs none. Its _exit is the first of the program.
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static int child(void* unused) {
  (void)unused;
  syscall(SYS_chdir, "/");
  char* arguments[] = {"none", NULL};
  execve("/nonexistent", arguments, NULL);
  close(dup(1));
  _exit(7);
}

int main(void) {
  static char stack[64 << 10] __attribute__((aligned(16))), storage[64 << 10] __attribute__((aligned(16)));
  memset(storage, 0xA5, sizeof(storage));
  int flags = CLONE_FS | CLONE_VM | CLONE_VFORK | CLONE_SETTLS | SIGCHLD;
  int pid = clone(child, stack + sizeof(stack), flags, NULL, NULL, storage + sizeof(storage) / 2, NULL);
  int status = -1;
  if (waitpid(pid, &status, 0) != pid) perror("waitpid");
  printf("ended with %x\n", status);
  return 0;
}
