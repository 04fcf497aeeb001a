// A child made by clone that shares the program's memory and has no thread storage of its own, as Chromium's sandbox makes
// one to leave the file system behind: it may call what needs none. Its _exit is the first of the program.
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
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

static int child_without_errno(void* unused) {
  (void)unused;
  syscall(SYS_chdir, "/");
  close(dup(1));
  _exit(9);
}

static void run(int (*function)(void*), void* storage) {
  static char stack[64 << 10] __attribute__((aligned(16)));
  int flags = CLONE_FS | CLONE_VM | CLONE_VFORK | CLONE_SETTLS | SIGCHLD;
  int pid = clone(function, stack + sizeof(stack), flags, NULL, NULL, storage, NULL);
  int status = -1;
  if (waitpid(pid, &status, 0) != pid) perror("waitpid");
  printf("ended with %x\n", status);
}

int main(void) {
  static char storage[64 << 10] __attribute__((aligned(16)));
  memset(storage, 0xA5, sizeof(storage));
  run(child, storage + sizeof(storage) / 2);
  // Nothing at all below it: not even errno can be set there.
  char* alone = mmap(NULL, 1 << 20, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  mprotect(alone + (1 << 19), 4096, PROT_READ | PROT_WRITE);
  run(child_without_errno, alone + (1 << 19));
  return 0;
}
