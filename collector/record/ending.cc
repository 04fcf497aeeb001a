#include "collector/record/ending.h"

#include <sys/wait.h>

#include <csignal>

namespace leakhunt::record {

Ending EndingOf(std::optional<int> wait_status, const protocol::ProcessHeader& header, bool oom_killed) {
  Ending ending;
  if (wait_status && WIFSIGNALED(*wait_status)) {
    ending.signal = WTERMSIG(*wait_status);
    ending.end = ending.signal == SIGKILL && oom_killed ? snapshot::End::kOom : snapshot::End::kSignal;
    return ending;
  }
  bool said_goodbye = header.image_end == static_cast<uint32_t>(protocol::ImageEnd::kExit);
  if (!wait_status && !said_goodbye) {
    // Nobody saw the status, and the guest had no time to write one: an OOM kill is the one death with a witness.
    if (oom_killed) ending.end = snapshot::End::kOom, ending.signal = SIGKILL;
    return ending;
  }
  ending.end = snapshot::End::kExit;
  ending.reason = "exit";
  ending.exit_status = wait_status ? WEXITSTATUS(*wait_status) : (header.exit_status & 0xFF);
  return ending;
}

Ending ExecEnding() {
  Ending ending;
  ending.end = snapshot::End::kExit;
  ending.replaced_by_exec = true;
  ending.reason = "exec";
  return ending;
}

}  // namespace leakhunt::record
