#include "collector/supervise/forwarding.h"

#include <unistd.h>

#include <charconv>
#include <string>

#include "collector/watch/proc_directory.h"

namespace leakhunt::supervise {
namespace {

constexpr int kSiKernel = 0x80;  // si_code of what the terminal sends to its foreground group

bool Handles(pid_t pid, int signal) {
  auto process = watch::ProcDirectory::Open(pid);
  std::string status = process ? process->Read("status").value_or("") : "";
  size_t at = status.find("\nSigCgt:\t");
  if (at == std::string::npos) return false;
  uint64_t caught = 0;
  at += 9;
  std::from_chars(status.data() + at, status.data() + status.size(), caught, 16);
  return ((caught >> (signal - 1)) & 1) != 0;
}

bool FromTerminal(const signalfd_siginfo& info, pid_t command) {
  return info.ssi_code == kSiKernel && getpgid(command) == getpgrp();
}

void Send(const signalfd_siginfo& info, pid_t command) {
  int signal = static_cast<int>(info.ssi_signo);
  if (info.ssi_code == SI_QUEUE) {
    sigval value{};
    value.sival_ptr = reinterpret_cast<void*>(info.ssi_ptr);
    sigqueue(command, signal, value);
  } else {
    kill(command, signal);
  }
}

}  // namespace

sigset_t InitSignals() {
  sigset_t set;
  sigfillset(&set);
  for (int signal : {SIGKILL, SIGSTOP, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS})
    sigdelset(&set, signal);
  return set;
}

void Forward(const signalfd_siginfo& info, pid_t command) {
  int signal = static_cast<int>(info.ssi_signo);
  if (signal == SIGCHLD || info.ssi_pid == static_cast<uint32_t>(getpid())) return;
  if (signal == SIGUSR1 && (info.ssi_code == SI_QUEUE || !Handles(command, SIGUSR1))) return;
  bool from_terminal = FromTerminal(info, command);
  if (!from_terminal) Send(info, command);
  if (from_terminal && signal == SIGTSTP) kill(getpid(), SIGSTOP);
}

}  // namespace leakhunt::supervise
