// Descriptors of the kernel's event objects, terminals and processes.
#include <fcntl.h>
#include <linux/io_uring.h>
#include <linux/perf_event.h>
#include <linux/userfaultfd.h>
#include <pty.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/fanotify.h>
#include <sys/inotify.h>
#include <sys/pidfd.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "case.h"

HANDLE_CASE(epoll_create, "epoll", 2) { MUST(epoll_create(1) >= 0 && epoll_create1(EPOLL_CLOEXEC) >= 0); }
HANDLE_CASE(eventfd, "eventfd", 1) { MUST(eventfd(0, 0) >= 0); }
HANDLE_CASE(timerfd_create, "timerfd", 1) { MUST(timerfd_create(CLOCK_MONOTONIC, 0) >= 0); }
HANDLE_CASE(signalfd, "signalfd", 1) {
  sigset_t set;
  sigemptyset(&set);
  int fd = signalfd(-1, &set, 0);
  for (int i = 0; i < 10; ++i) MUST(signalfd(fd, &set, 0) == fd);  // changes the mask, opens nothing
}
HANDLE_CASE(inotify_init, "inotify", 2) { MUST(inotify_init() >= 0 && inotify_init1(IN_CLOEXEC) >= 0); }
HANDLE_CASE(fanotify_init, "fanotify", 1) {
  if (fanotify_init(FAN_CLASS_NOTIF, O_RDONLY) < 0) NotHere("fanotify");
}
HANDLE_CASE(pidfd_open, "pidfd", 1) {
  if (pidfd_open(getpid(), 0) < 0) NotHere("pidfd_open");
}
HANDLE_CASE(pidfd_getfd, "", 3) {  // the pidfd, the file, and its copy
  int self = pidfd_open(getpid(), 0), file = open("/etc/passwd", O_RDONLY);
  if (self < 0 || pidfd_getfd(self, file, 0) < 0) NotHere("pidfd_getfd");
}
HANDLE_CASE(posix_openpt, "pty", 1) { MUST(posix_openpt(O_RDWR | O_NOCTTY) >= 0); }
HANDLE_CASE(openpty, "pty", 2) {
  int master, slave;
  if (openpty(&master, &slave, NULL, NULL, NULL) != 0) NotHere("a pseudo terminal");
}
HANDLE_CASE(userfaultfd, "userfaultfd", 1) {
  if (syscall(SYS_userfaultfd, O_CLOEXEC | UFFD_USER_MODE_ONLY) < 0) NotHere("userfaultfd");
}
HANDLE_CASE(perf_event_open, "perf", 1) {
  struct perf_event_attr attributes = {
      .type = PERF_TYPE_SOFTWARE, .size = sizeof(attributes), .config = PERF_COUNT_SW_DUMMY, .exclude_kernel = 1};
  if (syscall(SYS_perf_event_open, &attributes, 0, -1, -1, 0) < 0) NotHere("perf_event_open");
}
HANDLE_CASE(io_uring_setup, "io_uring", 1) {
  struct io_uring_params parameters = {0};
  if (syscall(SYS_io_uring_setup, 4, &parameters) < 0) NotHere("io_uring");
}
