#include "collector/supervise/bare.h"

#include <sys/prctl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "collector/notice.h"
#include "collector/supervise/search_path.h"

namespace leakhunt::supervise {

StartState::StartState() {
  sigprocmask(SIG_BLOCK, nullptr, &mask_);
  sigaction(SIGCHLD, nullptr, &child_action_);
  getrlimit(RLIMIT_NOFILE, &descriptors_);
}

void StartState::Restore() const {
  prctl(PR_SET_CHILD_SUBREAPER, 0);
  setrlimit(RLIMIT_NOFILE, &descriptors_);
  sigaction(SIGCHLD, &child_action_, nullptr);
  sigprocmask(SIG_SETMASK, &mask_, nullptr);
}

int BecomeCommand(const std::vector<std::string>& command, const StartState& state) {
  FoundProgram program = FindProgram(command.front());
  if (program.path.empty()) {
    Warn(command.front() + ": " + (program.exit_code == 127 ? "command not found" : std::strerror(program.error)));
    return program.exit_code;
  }
  std::vector<char*> arguments;
  for (const std::string& word : command) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  state.Restore();
  execvp(program.path.c_str(), arguments.data());
  Warn("cannot run " + program.path + ": " + std::strerror(errno));
  return errno == ENOENT ? 127 : 126;
}

}  // namespace leakhunt::supervise
