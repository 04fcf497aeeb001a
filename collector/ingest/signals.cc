#include "collector/ingest/signals.h"

#include <cerrno>

namespace leakhunt::ingest {

Result<SignalSource> SignalSource::Open(const sigset_t& wanted) {
  SignalSource source;
  struct sigaction default_action {};
  default_action.sa_handler = SIG_DFL;
  sigaction(SIGCHLD, &default_action, &source.child_action_at_start_);
  if (sigprocmask(SIG_BLOCK, &wanted, &source.mask_at_start_) != 0) return ErrnoError("cannot block signals", errno);
  source.fd_.Reset(signalfd(-1, &wanted, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!source.fd_.Valid()) return ErrnoError("cannot create a signalfd", errno);
  return source;
}

std::optional<signalfd_siginfo> SignalSource::Next() const {
  signalfd_siginfo info;
  if (read(fd_.Get(), &info, sizeof(info)) != static_cast<ssize_t>(sizeof(info))) return std::nullopt;
  return info;
}

void SignalSource::RestoreInChild() const {
  sigaction(SIGCHLD, &child_action_at_start_, nullptr);
  sigprocmask(SIG_SETMASK, &mask_at_start_, nullptr);
}

sigset_t ServiceSignals() {
  sigset_t set;
  sigemptyset(&set);
  for (int signal : {SIGUSR1, SIGCHLD, SIGINT, SIGTERM, SIGHUP, SIGPIPE}) sigaddset(&set, signal);
  return set;
}

}  // namespace leakhunt::ingest
