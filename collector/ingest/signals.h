// Signals as events: blocked for the whole collector and read from a signalfd.
//
// The mask and the dispositions found at start are kept: a command is started with exactly those.
#pragma once

#include <sys/signalfd.h>

#include <csignal>
#include <optional>

#include "collector/base/result.h"
#include "collector/base/unique_fd.h"

namespace leakhunt::ingest {

class SignalSource {
 public:
  // Blocks every signal in `wanted` and makes them readable. SIGCHLD gets its default disposition (an inherited
  // SIG_IGN would discard exit statuses).
  static Result<SignalSource> Open(const sigset_t& wanted);

  int Fd() const { return fd_.Get(); }
  std::optional<signalfd_siginfo> Next() const;

  // In a child before exec: mask and dispositions as the collector found them. Async-signal-safe.
  void RestoreInChild() const;

 private:
  UniqueFd fd_;
  sigset_t mask_at_start_{};
  struct sigaction child_action_at_start_ {};
};

// SIGUSR1, SIGCHLD, and what stops a service: SIGINT, SIGTERM, SIGHUP.
sigset_t ServiceSignals();

}  // namespace leakhunt::ingest
