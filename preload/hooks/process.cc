// Beginning and end of the image: constructor, exit, exec, dlclose.
#include <dlfcn.h>
#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "preload/core/process.h"
#include "preload/hooks/allocator.h"
#include "preload/hooks/attachment.h"
#include "preload/hooks/hook.h"
#include "preload/hooks/kernel_entry.h"
#include "preload/hooks/standing.h"
#include "preload/imports/redirection.h"
#include "preload/sys/clock.h"
#include "preload/unwind/unwinder.h"

extern "C" int on_exit(void (*function)(int, void*), void* argument) __attribute__((weak));

using namespace leakhunt;

namespace {

LEAKHUNT_REAL hooks::Real<int(int, unsigned long, unsigned long, unsigned long, unsigned long)> real_prctl("prctl");
LEAKHUNT_REAL hooks::Real<int(const char*)> real_chroot("chroot");
LEAKHUNT_REAL hooks::Real<void(int)> real__exit("_exit");
LEAKHUNT_REAL hooks::Real<int(void*)> real_dlclose("dlclose");
LEAKHUNT_REAL hooks::Real<int(const char*, char* const*, char* const*)> real_execve("execve");
LEAKHUNT_REAL hooks::Real<int(const char*, char* const*)> real_execv("execv");
LEAKHUNT_REAL hooks::Real<int(const char*, char* const*)> real_execvp("execvp");
LEAKHUNT_REAL hooks::Real<int(const char*, char* const*, char* const*)> real_execvpe("execvpe");
LEAKHUNT_REAL hooks::Real<int(int, char* const*, char* const*)> real_fexecve("fexecve");

void ExitsWith(int status, void*) { core::ProcessExits(status); }

__attribute__((constructor)) void Begin() {
  int saved = errno;
  hooks::FindAllocator();
  // Looked up now. prctl: after a filter, dlsym's own needs might not be met. The others: a child between fork and exec may
  // have been born while another thread held the loader's lock, and one made by clone may have no thread storage of its own.
  hooks::FindAll(real_prctl, real_chroot, real__exit, real_execve, real_execv, real_execvp, real_execvpe, real_fexecve);
  if (hooks::FindStanding() == hooks::Standing::kInjected) {  // leakhunt_v1_attach begins
    errno = saved;
    return;
  }
  core::ConnectProcess();
  hooks::ServeOwnMalloc();
  // Registered early, so it runs late: after the program's own handlers.
  if (&on_exit != nullptr) on_exit(ExitsWith, nullptr);
  errno = saved;
}

template <typename Call>
int Exec(Call call) {
  core::ProcessExecs();
  int result = call();
  core::ProcessExecFailed();
  return result;
}

}  // namespace

// Only to see what forbids calls or instructions coming. The same of syscall(2) is in raw.cc.
LEAKHUNT_HOOK int prctl(int option, ...) noexcept {
  va_list list;
  va_start(list, option);
  unsigned long a = va_arg(list, unsigned long), b = va_arg(list, unsigned long);
  unsigned long c = va_arg(list, unsigned long), d = va_arg(list, unsigned long);
  va_end(list);
  if (option == PR_SET_TSC && a != PR_TSC_ENABLE) sys::CycleCounterForbidden();
  if (option != PR_SET_SECCOMP) return real_prctl.Get()(option, a, b, c, d);
  hooks::EnterThroughLibc();
  const bool first = core::SeccompBegins();
  int result = real_prctl.Get()(option, a, b, c, d);
  if (result != 0 && first) core::SeccompFailed();
  return result;
}

// The same of syscall(2) is in raw.cc.
LEAKHUNT_HOOK int chroot(const char* path) noexcept {
  core::RootChanges();
  return real_chroot.Get()(path);
}

LEAKHUNT_HOOK void _exit(int status) {
  core::ProcessExits(status);
  real__exit.Get()(status);
  __builtin_unreachable();
}

LEAKHUNT_HOOK void _Exit(int status) { _exit(status); }

LEAKHUNT_HOOK int execve(const char* path, char* const* arguments, char* const* environment) noexcept {
  return Exec([&] { return real_execve.Get()(path, arguments, environment); });
}
LEAKHUNT_HOOK int execv(const char* path, char* const* arguments) noexcept {
  return Exec([&] { return real_execv.Get()(path, arguments); });
}
LEAKHUNT_HOOK int execvp(const char* file, char* const* arguments) noexcept {
  return Exec([&] { return real_execvp.Get()(file, arguments); });
}
LEAKHUNT_HOOK int execvpe(const char* file, char* const* arguments, char* const* environment) noexcept {
  return Exec([&] { return real_execvpe.Get()(file, arguments, environment); });
}
LEAKHUNT_HOOK int fexecve(int fd, char* const* arguments, char* const* environment) noexcept {
  return Exec([&] { return real_fexecve.Get()(fd, arguments, environment); });
}

// dlclose may be wrapped (dlopen may not: its caller's address chooses the search path).
LEAKHUNT_HOOK int dlclose(void* library) noexcept {
  imports::UnloadBegins();
  int result = real_dlclose.Get()(library);
  imports::UnloadEnds();
  if (result == 0) core::ObjectsUnloaded();
  return result;
}
