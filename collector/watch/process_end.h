// How a process ended, asked of the kernel: its pidfd, its entry in /proc while it is a zombie, its cgroup.
//
// The collector is seldom the parent, so wait() does not serve. In order of trust: the status our own wait returned
// (given by the caller), field 52 of a zombie's stat, PIDFD_GET_INFO (Linux 6.15, after the parent has reaped).
#pragma once

#include <sys/types.h>

#include <optional>

#include "collector/base/unique_fd.h"
#include "collector/watch/proc_directory.h"

namespace leakhunt::watch {

// A descriptor that polls readable when `pid` has ended; invalid where the kernel is older than 5.3 or the process
// gone.
UniqueFd OpenPidfd(pid_t pid);

// True when the process of `pidfd` has ended (reaped or not).
bool HasEnded(int pidfd);

// Wait status (as of waitpid) of an ended process, when the kernel tells. `pidfd` may be -1, `process` not valid.
std::optional<int> ExitWaitStatus(int pidfd, const ProcDirectory& process);

}  // namespace leakhunt::watch
