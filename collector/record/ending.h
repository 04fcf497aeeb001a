// How a recorded image ended, and what its last snapshot is called.
#pragma once

#include <optional>

#include "collector/snapshot/model.h"
#include "preload/protocol/layout.h"

namespace leakhunt::record {

struct Ending {
  snapshot::End end = snapshot::End::kLost;
  std::optional<int> exit_status;
  int signal = 0;
  bool replaced_by_exec = false;
  const char* reason = "death";  // of the last snapshot: exit, death, exec
};

// From the kernel's wait status when it is known, else from what the guest wrote in its header. `oom_killed`: the
// kernel counted an OOM kill in the process's group.
Ending EndingOf(std::optional<int> wait_status, const protocol::ProcessHeader& header, bool oom_killed);

Ending ExecEnding();

}  // namespace leakhunt::record
