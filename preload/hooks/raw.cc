// syscall(2): the numbers that open, duplicate or close. node and everything on libuv close by SYS_close.
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "preload/core/mappings.h"
#include "preload/core/process.h"
#include "preload/hooks/closing.h"
#include "preload/hooks/duplication.h"
#include "preload/hooks/handle_hook.h"
#include "preload/hooks/kernel_entry.h"
#include "preload/hooks/mapping_calls.h"
#include "preload/hooks/path_kind.h"
#include "preload/hooks/socket_kind.h"
#include "preload/sys/clock.h"

using namespace leakhunt;
using hooks::HandleType;
using hooks::Opened;

#ifndef SYS_memfd_secret
#define SYS_memfd_secret 447
#endif

namespace {

struct Arguments {
  long a, b, c, d, e, f;
};

LEAKHUNT_REAL hooks::Real<long(long, long, long, long, long, long, long)> real_syscall("syscall");

__attribute__((constructor)) void Find() { hooks::FindAll(real_syscall); }

long Call(long number, const Arguments& x) { return hooks::CallReal(real_syscall, number, x.a, x.b, x.c, x.d, x.e, x.f); }

int Fd(long word) { return static_cast<int>(word); }
template <typename T>
T* Pointer(long word) {
  return reinterpret_cast<T*>(word);
}

long OpenedBy(const hooks::Caller& caller, long number, const Arguments& x, HandleType type, const char* label = nullptr) {
  long fd = Call(number, x);
  if (fd >= 0) Opened(caller, Fd(fd), type, label);
  return fd;
}

// `flags`: O_DIRECTORY and so on.
long OpenedPath(const hooks::Caller& caller, long number, const Arguments& x, long path, int flags) {
  long fd = Call(number, x);
  if (fd < 0) return fd;
  const HandleType type = hooks::TypeOfPath(Pointer<const char>(path), flags);
  if (type == HandleType::kDirectory) hooks::NoteDirectory(Pointer<const char>(path));
  return Opened(caller, Fd(fd), type, Pointer<const char>(path));
}

long OpenedHow(const hooks::Caller& caller, long number, const Arguments& x) {
  long fd = Call(number, x);
  const char* const path = Pointer<const char>(x.b);
  return fd < 0 ? fd : Opened(caller, Fd(fd), hooks::TypeOfPath(path, hooks::FlagsOfHow(Pointer<const void>(x.c))), path);
}

long Close(const Arguments& x) {
  int answer = 0;
  if (hooks::KeepsFromClosing(Fd(x.a), &answer)) return answer;
  core::HandleClosing(Fd(x.a));
  return Call(SYS_close, x);
}

long Duplicate(const hooks::Caller& caller, long number, const Arguments& x) {
  if (hooks::KeepsOwn(Fd(x.a))) return -1;
  hooks::MakeWay way(number == SYS_dup || number == SYS_fcntl || x.a == x.b ? -1 : Fd(x.b));
  long fd = way.Settle(static_cast<int>(Call(number, x)));
  if (fd >= 0 && fd != x.a) core::HandleDuplicated(Fd(x.a), Fd(fd), &caller);
  return fd;
}

// libseccomp and Chromium's sandbox install their filters this way.
long Seccomp(long number, const Arguments& x) {
  if (number == SYS_seccomp && x.a > 1) return Call(number, x);  // asks, installs nothing (SECCOMP_GET_...)
  hooks::EnterThroughLibc();
  const bool first = core::SeccompBegins();
  long result = Call(number, x);
  if (result < 0 && first) core::SeccompFailed();
  return result;
}

// Raw clone with the parent's memory but not its descriptors.
void NoteClone(uint64_t flags) {
  if ((flags & CLONE_VM) != 0 && (flags & CLONE_THREAD) == 0) core::ChildrenShareMemory();
  if ((flags & CLONE_THREAD) != 0 && (flags & CLONE_FILES) == 0) core::DescriptorTablesDiffer();
}

long Unshare(const Arguments& x) {
  const long result = Call(SYS_unshare, x);
  if (result == 0 && (x.a & CLONE_FILES) != 0) core::DescriptorsUnshared();
  return result;
}

long Pair(const hooks::Caller& caller, long number, const Arguments& x, long pair, HandleType type) {
  long result = Call(number, x);
  if (result == 0) hooks::OpenedPair(caller, 0, Pointer<const int>(pair), type);
  return result;
}

constexpr long kPathFirst = -2, kPathSecond = -3;

// What a number that simply returns a descriptor makes. `known` false: the number is not one of them.
struct Opener {
  bool known;
  HandleType type;
  long label;  // kPathFirst, kPathSecond: the argument that names it; else 0
};

Opener OpenerOf(long number, const Arguments& x) {
  switch (number) {
#ifdef SYS_open
    case SYS_epoll_create: return {true, HandleType::kEpoll, 0};
    case SYS_eventfd: return {true, HandleType::kEventfd, 0};
    case SYS_inotify_init: return {true, HandleType::kInotify, 0};
#endif
    case SYS_open_by_handle_at: return {true, HandleType::kFile, 0};
    case SYS_open_tree: return {true, HandleType::kDirectory, kPathSecond};
    case SYS_fsopen: return {true, HandleType::kOther, kPathFirst};
    case SYS_fsmount: return {true, HandleType::kDirectory, 0};
    case SYS_fspick: return {true, HandleType::kOther, kPathSecond};
    case SYS_socket: return {true, hooks::SocketKind(Fd(x.a), Fd(x.b)), 0};
    case SYS_epoll_create1: return {true, HandleType::kEpoll, 0};
    case SYS_eventfd2: return {true, HandleType::kEventfd, 0};
    case SYS_timerfd_create: return {true, HandleType::kTimerfd, 0};
    case SYS_signalfd4: return {Fd(x.a) == -1, HandleType::kSignalfd, 0};
    case SYS_inotify_init1: return {true, HandleType::kInotify, 0};
    case SYS_fanotify_init: return {true, HandleType::kFanotify, 0};
    case SYS_memfd_create: return {true, HandleType::kMemfd, kPathFirst};
    case SYS_memfd_secret: return {true, HandleType::kMemfd, 0};
    case SYS_pidfd_open: return {true, HandleType::kPidfd, 0};
    case SYS_pidfd_getfd: return {true, HandleType::kOther, 0};
    case SYS_userfaultfd: return {true, HandleType::kUserfaultfd, 0};
    case SYS_perf_event_open: return {true, HandleType::kPerf, 0};
    case SYS_io_uring_setup: return {true, HandleType::kIoUring, 0};
    case SYS_mq_open: return {true, HandleType::kFile, kPathFirst};
    case SYS_landlock_create_ruleset: return {(x.c & 1) == 0, HandleType::kOther, 0};  // bit 0 asks for the version
    default: return {false, HandleType::kOther, 0};
  }
}

long Other(const hooks::Caller& caller, long number, const Arguments& x) {
  Opener opener = OpenerOf(number, x);
  if (!opener.known) return Call(number, x);
  const long label = opener.label == kPathFirst ? x.a : opener.label == kPathSecond ? x.b : 0;
  return OpenedBy(caller, number, x, opener.type, Pointer<const char>(label));
}

}  // namespace

LEAKHUNT_HOOK long syscall(long number, ...) noexcept {
  va_list list;
  va_start(list, number);
  Arguments x;
  x.a = va_arg(list, long), x.b = va_arg(list, long), x.c = va_arg(list, long);
  x.d = va_arg(list, long), x.e = va_arg(list, long), x.f = va_arg(list, long);
  va_end(list);
  switch (number) {
    case SYS_close: return Close(x);
#ifdef SYS_open
    case SYS_open: return OpenedPath(hooks::Caller(), number, x, x.a, Fd(x.b));
    case SYS_creat: return OpenedPath(hooks::Caller(), number, x, x.a, 0);
#endif
    case SYS_openat: return OpenedPath(hooks::Caller(), number, x, x.b, Fd(x.c));
    case SYS_openat2: return OpenedHow(hooks::Caller(), number, x);
    case SYS_seccomp: return Seccomp(number, x);
    case SYS_chroot:
    case SYS_pivot_root:
      core::RootChanges();
      return Call(number, x);
    case SYS_prctl:
      if (x.a == PR_SET_TSC && x.b != PR_TSC_ENABLE) sys::CycleCounterForbidden();
      return x.a == PR_SET_SECCOMP ? Seccomp(number, x) : Call(number, x);
    case SYS_close_range:
      return hooks::CloseRangeBy(static_cast<unsigned>(x.a), static_cast<unsigned>(x.b), Fd(x.c), [&](unsigned from, unsigned to) {
        return static_cast<int>(Call(number, Arguments{from, to, x.c, x.d, x.e, x.f}));
      });
    case SYS_dup: return Duplicate(hooks::Caller(), number, x);
#ifdef SYS_dup2
    case SYS_dup2: return Duplicate(hooks::Caller(), number, x);
    case SYS_pipe: return Pair(hooks::Caller(), number, x, x.a, HandleType::kPipe);
#endif
    case SYS_dup3: return Duplicate(hooks::Caller(), number, x);
    case SYS_fcntl:
      if (x.b == F_DUPFD || x.b == F_DUPFD_CLOEXEC) return Duplicate(hooks::Caller(), number, x);
      return hooks::KeepsOwn(Fd(x.a)) ? -1 : Call(number, x);
    case SYS_pipe2: return Pair(hooks::Caller(), number, x, x.a, HandleType::kPipe);
    case SYS_socketpair: return Pair(hooks::Caller(), number, x, x.d, hooks::SocketKind(Fd(x.a), Fd(x.b)));
    case SYS_accept:
    case SYS_accept4:
      return hooks::Accepted(hooks::Caller(), Fd(x.a), Fd(Call(number, x)), Pointer<const sockaddr>(x.b), Pointer<const socklen_t>(x.c));
    case SYS_recvmsg: {
      long bytes = Call(number, x);
      if (bytes >= 0) hooks::Received(hooks::Caller(), Pointer<const msghdr>(x.b));
      return bytes;
    }
    case SYS_mmap:
      return reinterpret_cast<long>(hooks::MapBy(static_cast<size_t>(x.b), [&] { return Pointer<void>(Call(number, x)); }));
    case SYS_mremap:
      return reinterpret_cast<long>(hooks::RemapBy(Pointer<void>(x.a), static_cast<size_t>(x.b), static_cast<size_t>(x.c),
                                                   Fd(x.d), [&] { return Pointer<void>(Call(number, x)); }));
    case SYS_munmap:
      return hooks::UnmapBy(Pointer<void>(x.a), static_cast<size_t>(x.b), [&] { return static_cast<int>(Call(number, x)); });
    case SYS_unshare: return Unshare(x);
    case SYS_clone: NoteClone(static_cast<uint64_t>(x.a)); return Call(number, x);
    case SYS_clone3: if (x.a != 0) NoteClone(*Pointer<const uint64_t>(x.a)); return Call(number, x);
    default: return Other(hooks::Caller(), number, x);
  }
}
