// The command without leakhunt: this process becomes it.
//
// For --or-bare, when leakhunt cannot work or is switched off. The command finds everything as this process found it: signal mask
// and dispositions, limits, descriptors, and no child.
#pragma once

#include <sys/resource.h>

#include <csignal>
#include <string>
#include <vector>

namespace leakhunt::supervise {

// What this process found at its start, before it changed anything.
class StartState {
 public:
  StartState();
  void Restore() const;

 private:
  sigset_t mask_{};
  struct sigaction child_action_ {};
  rlimit descriptors_{};
};

// Does not return where the command can be run. Else one line and the exit status of a shell: 126 or 127. Call only when no
// process of ours is left and none was started as the command.
int BecomeCommand(const std::vector<std::string>& command, const StartState& state);

}  // namespace leakhunt::supervise
