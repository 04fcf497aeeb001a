// Which signals an init passes on, and to whom.
#pragma once

#include <sys/signalfd.h>
#include <sys/types.h>

#include <csignal>

namespace leakhunt::supervise {

// Every signal that may be forwarded, and SIGCHLD: all but SIGKILL, SIGSTOP and those a fault raises.
sigset_t InitSignals();

// Passes `info` on to `command` unless the terminal already sent it there. SIGTSTP from the terminal stops us too, so
// that the shell sees its job stopped. SIGUSR1 is the collector's own; it is passed on only to a command that handles
// it.
void Forward(const signalfd_siginfo& info, pid_t command);

}  // namespace leakhunt::supervise
