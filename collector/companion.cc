#include "collector/companion.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>

namespace leakhunt {
namespace {

void BecomeCompanion(const char* name, int kept) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  prctl(PR_SET_NAME, name);
  // Where the library is preloaded into everything, it must not record what serves it: reports, alert hooks.
  setenv("LEAKHUNT_COLLECTOR", "off", 1);
  int nothing = open("/dev/null", O_RDONLY | O_CLOEXEC);
  if (nothing >= 0) dup2(nothing, STDIN_FILENO);
  dup2(STDERR_FILENO, STDOUT_FILENO);  // what it starts must not print into the command's output
  unsigned after = kept > 2 ? static_cast<unsigned>(kept) + 1 : 3;
  if (after > 4) syscall(SYS_close_range, 3u, after - 2, 0u);
  syscall(SYS_close_range, after, ~0u, 0u);
  signal(SIGPIPE, SIG_IGN);
  signal(SIGINT, SIG_IGN);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
}

}  // namespace

bool Companion::Start(const char* name, int kept, const std::function<void()>& body) {
  Stop();
  pid_t parent = getpid();
  pid_t pid = fork();
  if (pid < 0) return false;
  if (pid == 0) {
    BecomeCompanion(name, kept);
    if (getppid() == parent) body();
    _exit(0);
  }
  pidfd_.Reset(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
  return true;
}

void Companion::Stop() {
  if (!pidfd_.Valid()) return;
  syscall(SYS_pidfd_send_signal, pidfd_.Get(), SIGKILL, nullptr, 0);
  siginfo_t info;
  waitid(P_PIDFD, static_cast<id_t>(pidfd_.Get()), &info, WEXITED);
  pidfd_.Reset();
}

}  // namespace leakhunt
