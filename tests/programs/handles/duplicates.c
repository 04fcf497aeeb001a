// Duplicates, closes in bulk, and the calls in children that share or copy the table.
#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "case.h"

static int Open(void) { return open("/etc/passwd", O_RDONLY | O_CLOEXEC); }

HANDLE_CASE(dup, "file", 2) { MUST(dup(Open()) >= 0); }
HANDLE_CASE(dup2, "file", 2) {
  int fd = Open(), over = Open();
  for (int i = 0; i < 10; ++i) MUST(dup2(fd, over) == over && dup2(fd, fd) == fd);
  MUST(dup2(-1, over) < 0);
}
HANDLE_CASE(dup3, "file", 2) {
  int fd = Open();
  for (int i = 0; i < 10; ++i) MUST(dup3(fd, 100, O_CLOEXEC) == 100);
}
HANDLE_CASE(fcntl, "file", 3) {
  int fd = Open();
  MUST(fcntl(fd, F_DUPFD, 50) == 50 && fcntl(fd, F_DUPFD_CLOEXEC, 60) == 60);
  for (int i = 0; i < 10; ++i) MUST(fcntl(fd, F_GETFD) >= 0 && fcntl(fd, F_GETFL) >= 0);
}

HANDLE_CASE(close, "file", 1) {
  for (int i = 0; i < 1000; ++i) MUST(close(Open()) == 0);
  MUST(close(-1) < 0 && close(400) < 0 && errno == EBADF);
  MUST(Open() >= 0);
}
HANDLE_CASE(close_range, "file", 1) {
  unsigned first = (unsigned)Open();
  for (int i = 0; i < 20; ++i) Open();
  MUST(close_range(first + 1, first + 100, 0) == 0);
  MUST(close_range(first, first, CLOSE_RANGE_CLOEXEC) == 0);  // closes nothing
}
HANDLE_CASE(closefrom, "file", 2) {
  int first = Open();
  for (int i = 0; i < 20; ++i) Open();
  closefrom(first + 2);
}

HANDLE_CASE(vfork_child_closes, "file", 2) {
  int first = Open(), second = Open();
  pid_t child = vfork();
  if (child == 0) {
    close(first);
    dup2(second, 70);
    _exit(0);
  }
  MUST(waitpid(child, NULL, 0) == child);
}
HANDLE_CASE(fork_child_closes, "file", 3) {
  for (int i = 0; i < 3; ++i) Open();
  pid_t child = fork();
  if (child == 0) {
    closefrom(3);
    for (int i = 0; i < 50; ++i) Open();
    _exit(0);
  }
  MUST(waitpid(child, NULL, 0) == child);
}
HANDLE_CASE(spawn_file_actions, "file", 1) {
  extern char** environ;
  int fd = Open();
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addclose(&actions, fd);
  posix_spawn_file_actions_addopen(&actions, 9, "/dev/null", O_RDONLY, 0);
  char* arguments[] = {(char*)"true", NULL};
  pid_t child;
  MUST(posix_spawnp(&child, "true", &actions, NULL, arguments, environ) == 0 && waitpid(child, NULL, 0) == child);
}

static void* OpenAndClose(void* unused) {
  (void)unused;
  for (int i = 0; i < 20000; ++i) close(Open());
  return NULL;
}
HANDLE_CASE(reuse_across_threads, "file", 1) {
  pthread_t threads[4];
  for (int i = 0; i < 4; ++i) MUST(pthread_create(&threads[i], NULL, OpenAndClose, NULL) == 0);
  for (int i = 0; i < 4; ++i) pthread_join(threads[i], NULL);
  Open();
}

static void OpenInHandler(int signal_number) {
  (void)signal_number;
  close(Open());
}
HANDLE_CASE(signal_handler_opens, "file", 1) {
  struct sigaction action = {.sa_handler = OpenInHandler, .sa_flags = SA_RESTART};
  sigaction(SIGALRM, &action, NULL);
  ualarm(200, 200);
  for (int i = 0; i < 30000; ++i) close(Open());
  ualarm(0, 0);
  Open();
}
