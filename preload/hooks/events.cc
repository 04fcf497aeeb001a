// Descriptors of the kernel's event and process objects.
#include <signal.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/fanotify.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>

#include "preload/hooks/handle_hook.h"

using namespace leakhunt;
using hooks::Caller;
using hooks::CallReal;
using hooks::HandleType;
using hooks::Opened;

namespace {

LEAKHUNT_REAL hooks::Real<int(int)> real_epoll_create("epoll_create");
LEAKHUNT_REAL hooks::Real<int(int)> real_epoll_create1("epoll_create1");
LEAKHUNT_REAL hooks::Real<int(unsigned, int)> real_eventfd("eventfd");
LEAKHUNT_REAL hooks::Real<int(clockid_t, int)> real_timerfd_create("timerfd_create");
LEAKHUNT_REAL hooks::Real<int(int, const sigset_t*, int)> real_signalfd("signalfd");
LEAKHUNT_REAL hooks::Real<int()> real_inotify_init("inotify_init");
LEAKHUNT_REAL hooks::Real<int(int)> real_inotify_init1("inotify_init1");
LEAKHUNT_REAL hooks::Real<int(unsigned, unsigned)> real_fanotify_init("fanotify_init");
LEAKHUNT_REAL hooks::Real<int(const char*, unsigned)> real_memfd_create("memfd_create");
LEAKHUNT_REAL hooks::Real<int(pid_t, unsigned)> real_pidfd_open("pidfd_open");
LEAKHUNT_REAL hooks::Real<int(int, int, unsigned)> real_pidfd_getfd("pidfd_getfd");

}  // namespace

LEAKHUNT_HOOK int epoll_create(int size) noexcept { return Opened(Caller(), CallReal(real_epoll_create, size), HandleType::kEpoll); }
LEAKHUNT_HOOK int epoll_create1(int flags) noexcept { return Opened(Caller(), CallReal(real_epoll_create1, flags), HandleType::kEpoll); }
LEAKHUNT_HOOK int eventfd(unsigned count, int flags) noexcept {
  return Opened(Caller(), CallReal(real_eventfd, count, flags), HandleType::kEventfd);
}
LEAKHUNT_HOOK int timerfd_create(clockid_t clock, int flags) noexcept {
  return Opened(Caller(), CallReal(real_timerfd_create, clock, flags), HandleType::kTimerfd);
}
// With a descriptor it changes that one and makes none.
LEAKHUNT_HOOK int signalfd(int fd, const sigset_t* mask, int flags) noexcept {
  int result = CallReal(real_signalfd, fd, mask, flags);
  return fd == -1 ? Opened(Caller(), result, HandleType::kSignalfd) : result;
}
LEAKHUNT_HOOK int inotify_init() noexcept { return Opened(Caller(), CallReal(real_inotify_init), HandleType::kInotify); }
LEAKHUNT_HOOK int inotify_init1(int flags) noexcept {
  return Opened(Caller(), CallReal(real_inotify_init1, flags), HandleType::kInotify);
}
LEAKHUNT_HOOK int fanotify_init(unsigned flags, unsigned event_flags) noexcept {
  return Opened(Caller(), CallReal(real_fanotify_init, flags, event_flags), HandleType::kFanotify);
}
LEAKHUNT_HOOK int memfd_create(const char* name, unsigned flags) noexcept {
  return Opened(Caller(), CallReal(real_memfd_create, name, flags), HandleType::kMemfd, name);
}
LEAKHUNT_HOOK int pidfd_open(pid_t pid, unsigned flags) noexcept {
  return Opened(Caller(), CallReal(real_pidfd_open, pid, flags), HandleType::kPidfd);
}
LEAKHUNT_HOOK int pidfd_getfd(int pidfd, int fd, unsigned flags) noexcept {
  return Opened(Caller(), CallReal(real_pidfd_getfd, pidfd, fd, flags), HandleType::kOther, nullptr, protocol::kHandleReceived);
}
