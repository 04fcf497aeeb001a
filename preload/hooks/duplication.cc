// Duplicates of descriptors: dup, dup2, dup3, fcntl. A duplicate is a handle of its own, with the kind of the first.
#include <fcntl.h>
#include <stdarg.h>
#include <unistd.h>

#include "preload/hooks/closing.h"
#include "preload/hooks/duplication.h"
#include "preload/hooks/handle_hook.h"
#include "preload/sys/syscall.h"
#include "preload/transport/connection.h"

using namespace leakhunt;
using hooks::Caller;
using hooks::CallReal;

namespace {

LEAKHUNT_REAL hooks::Real<int(int)> real_dup("dup");
LEAKHUNT_REAL hooks::Real<int(int, int)> real_dup2("dup2");
LEAKHUNT_REAL hooks::Real<int(int, int, int)> real_dup3("dup3");
LEAKHUNT_REAL hooks::Real<int(int, int, long)> real_fcntl("fcntl");
LEAKHUNT_REAL hooks::Real<int(int, int, long)> real_fcntl64("fcntl64");

__attribute__((constructor)) void Find() { hooks::FindAll(real_dup, real_dup2, real_dup3, real_fcntl, real_fcntl64); }

int Duplicated(const Caller& caller, int from, int to) {
  if (to >= 0) core::HandleDuplicated(from, to, &caller);
  return to;
}

int Dup2(const Caller& caller, int from, int to) {
  if (from == to) return hooks::KeepsOwn(to) ? -1 : CallReal(real_dup2, from, to);  // opens and closes nothing
  if (hooks::KeepsOwn(from)) return -1;
  hooks::MakeWay way(to);
  return Duplicated(caller, from, way.Settle(CallReal(real_dup2, from, to)));
}

int Control(const Caller& caller, hooks::Real<int(int, int, long)>& real, int fd, int command, long argument) {
  if (hooks::KeepsOwn(fd)) return -1;
  int result = CallReal(real, fd, command, argument);
  if (command == F_DUPFD || command == F_DUPFD_CLOEXEC) Duplicated(caller, fd, result);
  return result;
}

}  // namespace

namespace leakhunt::hooks {

MakeWay::MakeWay(int fd) {
  if (__builtin_expect(!transport::IsOwnDescriptor(fd), 1) || core::InSharedMemoryChild()) return;
  vacated_ = fd;
  core::OwnDescriptorMoved(fd, transport::VacateDescriptor(fd));
}

int MakeWay::Settle(int result) {
  if (vacated_ >= 0 && result != vacated_) sys::Close(vacated_);  // the call failed; what was there was ours
  return result;
}

}  // namespace leakhunt::hooks

LEAKHUNT_HOOK int dup(int fd) noexcept {
  if (hooks::KeepsOwn(fd)) return -1;
  return Duplicated(Caller(), fd, CallReal(real_dup, fd));
}
LEAKHUNT_HOOK int dup2(int from, int to) noexcept { return Dup2(Caller(), from, to); }
LEAKHUNT_HOOK int __dup2(int from, int to) noexcept { return Dup2(Caller(), from, to); }
LEAKHUNT_HOOK int dup3(int from, int to, int flags) noexcept {
  if (from == to) return CallReal(real_dup3, from, to, flags);  // EINVAL
  if (hooks::KeepsOwn(from)) return -1;
  hooks::MakeWay way(to);
  return Duplicated(Caller(), from, way.Settle(CallReal(real_dup3, from, to, flags)));
}

// Every command takes at most one more argument, of a word's size.
#define LEAKHUNT_WORD(last)               \
  va_list arguments;                      \
  va_start(arguments, last);              \
  long argument = va_arg(arguments, long); \
  va_end(arguments);

LEAKHUNT_HOOK int fcntl(int fd, int command, ...) {
  LEAKHUNT_WORD(command)
  return Control(Caller(), real_fcntl, fd, command, argument);
}
LEAKHUNT_HOOK int fcntl64(int fd, int command, ...) {
  LEAKHUNT_WORD(command)
  return Control(Caller(), real_fcntl64, fd, command, argument);
}
LEAKHUNT_HOOK int __fcntl(int fd, int command, ...) {
  LEAKHUNT_WORD(command)
  return Control(Caller(), real_fcntl, fd, command, argument);
}
