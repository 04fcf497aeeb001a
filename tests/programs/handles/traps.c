// Where a ledger of descriptors goes wrong: numbers used again by many threads, signal handlers anywhere, programs that
// close everything, and numbers that a tool may be holding.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "case.h"

static int Open(void) { return open("/etc/passwd", O_RDONLY | O_CLOEXEC); }

static void* OpenManyTimes(void* times) {
  for (long i = 0; i < (long)times; ++i) {
    int fd = Open();
    if (i % 7 == 0) close(dup(fd));
    free(malloc((size_t)(i % 900) + 1));
    close(fd);
  }
  return NULL;
}
static void InFourThreads(long times) {
  pthread_t threads[4];
  for (int i = 0; i < 4; ++i) MUST(pthread_create(&threads[i], NULL, OpenManyTimes, (void*)times) == 0);
  for (int i = 0; i < 4; ++i) pthread_join(threads[i], NULL);
}

HANDLE_CASE(million_in_four_threads, "file", 1) {
  InFourThreads(250000);
  Open();
}

static void OpenDupAndClose(int signal_number) {
  (void)signal_number;
  int saved = errno, fd = open("/dev/null", O_RDONLY), copy = dup(fd);
  dup2(fd, 90);
  close(fd);
  close(copy);
  close(90);
  errno = saved;
}
HANDLE_CASE(handlers_everywhere, "file", 1) {
  struct sigaction action = {.sa_handler = OpenDupAndClose, .sa_flags = SA_RESTART};
  sigaction(SIGALRM, &action, NULL);
  struct itimerval often = {{0, 100}, {0, 100}}, never = {{0, 0}, {0, 0}};
  setitimer(ITIMER_REAL, &often, NULL);
  InFourThreads(50000);
  setitimer(ITIMER_REAL, &never, NULL);
  Open();
}

// A daemon's start. What was open from 3 up is closed, and nothing else seems to have been.
HANDLE_CASE(close_each_from_three, "file", 1) {
  int first = Open(), closed = 0;
  for (int fd = 3; fd < 20000; ++fd) {
    if (close(fd) == 0) ++closed;
    else MUST(errno == EBADF);
  }
  MUST(first == 3 && closed == 1 && Open() == 3);
}
HANDLE_CASE(close_range_from_three, "file", 1) {
  for (int i = 0; i < 5; ++i) Open();
  MUST(close_range(3, ~0u, 0) == 0 && Open() == 3);
}
HANDLE_CASE(raw_close_range_from_three, "file", 1) {
  for (int i = 0; i < 5; ++i) Open();
  MUST(syscall(SYS_close_range, 3, ~0u, 0) == 0 && Open() == 3);
}

// Every number up to 1,023 is to be had, also those that something else holds.
HANDLE_CASE(dup2_to_every_number, "file", 13) {
  int fd = Open();
  for (int to = 500; to < 1024; ++to) MUST(dup2(fd, to) == to);
  for (int to = 500; to < 1024; ++to) MUST(fcntl(to, F_GETFD) == 0);
  MUST(close_range(512, 1023, 0) == 0);
}

HANDLE_CASE(forks_of_forks_close, "file", 2) {
  int first = Open();
  pid_t child = fork();
  if (child == 0) {
    close(first);
    pid_t grandchild = fork();
    if (grandchild == 0) {
      Open();
      _exit(0);
    }
    Open();
    _exit(waitpid(grandchild, NULL, 0) == grandchild ? 0 : 1);
  }
  int status;
  MUST(waitpid(child, &status, 0) == child && status == 0);
  Open();
}

HANDLE_CASE(number_in_the_millions, "file", 1) {
  struct rlimit limit;
  getrlimit(RLIMIT_NOFILE, &limit);
  int fd = Open(), far = (int)limit.rlim_cur - 1;
  MUST(dup2(fd, far) == far && close(far) == 0);
}

HANDLE_CASE(streams_change_hands, "directory", 1) {
  DIR* directory = fdopendir(Open());  // not a directory: the descriptor stays the caller's
  MUST(directory == NULL && errno == ENOTDIR && close(3) == 0);
  directory = opendir("/etc");
  for (int i = 0; i < 10; ++i) MUST(dup(dirfd(directory)) == 4 && close(4) == 0);
}
