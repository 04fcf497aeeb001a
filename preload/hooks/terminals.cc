// Pseudo terminals, and the calls that put one, or /dev/null, under the standard descriptors.
#include <pty.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <utmp.h>

#include "preload/hooks/closing.h"
#include "preload/hooks/handle_hook.h"

using namespace leakhunt;
using hooks::Caller;
using hooks::CallReal;
using hooks::HandleType;
using hooks::Opened;

namespace {

LEAKHUNT_REAL hooks::Real<int(int)> real_posix_openpt("posix_openpt");
LEAKHUNT_REAL hooks::Real<int()> real_getpt("getpt");
LEAKHUNT_REAL hooks::Real<int(int*, int*, char*, const termios*, const winsize*)> real_openpty("openpty");
LEAKHUNT_REAL hooks::Real<int(int*, char*, const termios*, const winsize*)> real_forkpty("forkpty");
LEAKHUNT_REAL hooks::Real<int(int)> real_login_tty("login_tty");
LEAKHUNT_REAL hooks::Real<int(int, int)> real_daemon("daemon");
LEAKHUNT_REAL hooks::Real<int(int, unsigned long, long)> real_ioctl("ioctl");

constexpr const char* kMaster = "/dev/ptmx";

void OpenedStandard(const Caller& caller, HandleType type, const char* label) {
  for (int fd = 0; fd < 3; ++fd) Opened(caller, fd, type, label);
}

}  // namespace

LEAKHUNT_HOOK int posix_openpt(int flags) { return Opened(Caller(), CallReal(real_posix_openpt, flags), HandleType::kPty, kMaster); }
LEAKHUNT_HOOK int getpt() { return Opened(Caller(), CallReal(real_getpt), HandleType::kPty, kMaster); }

LEAKHUNT_HOOK int openpty(int* master, int* slave, char* name, const termios* settings, const winsize* size) noexcept {
  int result = CallReal(real_openpty, master, slave, name, settings, size);
  if (result == 0) {
    Opened(Caller(), *master, HandleType::kPty, kMaster);
    Opened(Caller(), *slave, HandleType::kPty);
  }
  return result;
}

LEAKHUNT_HOOK int forkpty(int* master, char* name, const termios* settings, const winsize* size) noexcept {
  int child = CallReal(real_forkpty, master, name, settings, size);
  if (child > 0) Opened(Caller(), *master, HandleType::kPty, kMaster);
  if (child == 0) OpenedStandard(Caller(), HandleType::kPty, nullptr);
  return child;
}

LEAKHUNT_HOOK int login_tty(int fd) noexcept {
  core::DescriptorEntry before = core::HandleTaken(fd);
  int result = CallReal(real_login_tty, fd);
  if (result != 0) {
    core::HandlePutBack(fd, before);
    return result;
  }
  core::HandleGone(before);
  OpenedStandard(Caller(), HandleType::kPty, nullptr);
  return result;
}

LEAKHUNT_HOOK int daemon(int keep_directory, int keep_standard) noexcept {
  int result = CallReal(real_daemon, keep_directory, keep_standard);
  if (result == 0 && keep_standard == 0) OpenedStandard(Caller(), HandleType::kDevice, "/dev/null");
  return result;
}

LEAKHUNT_HOOK int ioctl(int fd, unsigned long request, ...) noexcept {
  va_list arguments;
  va_start(arguments, request);
  long argument = va_arg(arguments, long);
  va_end(arguments);
  int result = CallReal(real_ioctl, fd, request, argument);
  if (request == TIOCGPTPEER) Opened(Caller(), result, HandleType::kPty);
  return result;
}
