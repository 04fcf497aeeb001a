// The same few calls again and again, as servers make them, and then what is unusual about them.
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "case.h"

pid_t _Fork(void) __attribute__((weak));

enum { kUsually = 500 };

// Each opening is from one place with one stack pointer; what is closed is what was opened last.
__attribute__((noinline)) static int OpenAgain(int times, int kept) {
  for (int i = 0; i < times; ++i) {
    int fd = open("/etc/passwd", O_RDONLY | O_CLOEXEC);
    MUST(fd >= 0);
    if (i >= kept) MUST(close(fd) == 0);
  }
  return 0;
}

// The child closes what its parent opened, and opens and closes itself, either of them first.
static void InAChild(pid_t child, int closes_first) {
  if (child == 0) {
    if (!closes_first) OpenAgain(kUsually, 3);
    for (int fd = 3; fd < 6; ++fd) close(fd);
    OpenAgain(kUsually, 3);
    _exit(0);
  }
  int status;
  MUST(waitpid(child, &status, 0) == child && status == 0);
}
// No atfork handler runs: the child finds out by itself that the records are its parent's.
HANDLE_CASE(usual_in_a_raw_child, "file", 4) {
  OpenAgain(kUsually, 5);
  for (int closes_first = 0; closes_first < 2; ++closes_first) {
    InAChild((pid_t)syscall(SYS_fork), closes_first);
    if (_Fork != NULL) InAChild(_Fork(), closes_first);
    InAChild(fork(), closes_first);
  }
  close(3);
  OpenAgain(kUsually, 0);
}

// vfork's child has the memory of its parent, and a descriptor table of its own.
HANDLE_CASE(usual_beside_vfork, "file", 5) {
  OpenAgain(kUsually, 5);
  for (int i = 0; i < 20; ++i) {
    pid_t child = vfork();
    if (child == 0) {
      for (int fd = 3; fd < 100; ++fd) close(fd);
      _exit(0);
    }
    int status;
    MUST(waitpid(child, &status, 0) == child && status == 0);
    OpenAgain(10, 0);
  }
}

// What the handler keeps shows whether it took what the interrupted opening had taken.
enum { kKeptByHandler = 300 };
static volatile int kept_by_handler;
static void OpenInHandler(int signal_number) {
  static int calls;
  (void)signal_number;
  if (++calls % 5 != 0 || kept_by_handler == kKeptByHandler) {
    OpenAgain(3, 0);
  } else {
    OpenAgain(1, 1);
    ++kept_by_handler;
  }
}
HANDLE_CASE(usual_in_handlers, "file", kKeptByHandler + 1) {
  struct sigaction action = {.sa_handler = OpenInHandler, .sa_flags = SA_RESTART};
  sigaction(SIGALRM, &action, NULL);
  struct itimerval often = {{0, 50}, {0, 50}}, never = {{0, 0}, {0, 0}};
  setitimer(ITIMER_REAL, &often, NULL);
  while (kept_by_handler < kKeptByHandler) OpenAgain(1000, 0);
  setitimer(ITIMER_REAL, &never, NULL);
  OpenAgain(kUsually, 1);
}

static int numbers[2];
static void* CloseWhatComes(void* kept) {
  OpenAgain(kUsually, 0);
  for (int fd; read(numbers[0], &fd, sizeof(fd)) == sizeof(fd);) {
    MUST(close(fd) == 0);
    OpenAgain(1, 0);
  }
  return kept;
}
// One thread opens, another one closes, and opens and closes between; numbers and slots change hands all the time.
HANDLE_CASE(usual_closed_by_another_thread, "file", 1) {
  MUST(pipe(numbers) == 0);
  pthread_t closer;
  MUST(pthread_create(&closer, NULL, CloseWhatComes, NULL) == 0);
  for (int i = 0; i < 20000; ++i) {
    int fd = open(i % 2 == 0 ? "/etc/passwd" : "/etc/group", O_RDONLY);
    MUST(fd >= 0 && write(numbers[1], &fd, sizeof(fd)) == sizeof(fd));
  }
  close(numbers[1]);
  pthread_join(closer, NULL);
  close(numbers[0]);
  OpenAgain(1, 1);
}

// A server: connections come and go, each of them open over many files, and end in another order than they began.
HANDLE_CASE(usual_under_kept_ones, "file", 2) {
  enum { kKept = 7 };
  int kept[kKept] = {-1, -1, -1, -1, -1, -1, -1};
  for (int i = 0; i < 700; ++i) {
    int* const one = &kept[i * 3 % kKept];
    if (*one >= 0) MUST(close(*one) == 0);
    *one = open("/etc/group", O_RDONLY);
    MUST(*one >= 0);
    OpenAgain(i % 5, 0);
  }
  for (int i = 2; i < kKept; ++i) MUST(close(kept[i]) == 0);
}

// What the table had there was closed by a call that nobody could see.
static void CloseUnseen(int fd) {
#if defined(__x86_64__)
  long result;
  __asm__ volatile("syscall" : "=a"(result) : "0"((long)SYS_close), "D"((long)fd) : "rcx", "r11", "memory");
  MUST(result == 0);
#else
  close(fd);
#endif
}
HANDLE_CASE(usual_after_unseen_closes, "file", 1) {
  for (int i = 0; i < kUsually; ++i) {
    OpenAgain(1, 1);
    CloseUnseen(3);
  }
  OpenAgain(1, 1);
}

// More than the first thousand numbers, and back.
HANDLE_CASE(usual_beyond_a_thousand, "file", 400) {
  OpenAgain(1600, 1500);
  for (int fd = 3 + 400; fd < 3 + 1500; ++fd) {
    if (close(fd) != 0) close(fd + 1);  // numbers that something else holds come later in the row
  }
  for (int fd = 3 + 400; fd < 3 + 1600; ++fd) close(fd);
  OpenAgain(kUsually, 0);
}
