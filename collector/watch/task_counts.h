// How many threads there are where threads are limited: in the process's cgroups (pids.max), and of its user
// (RLIMIT_NPROC). Best effort, like cgroup.h; what is not known is 0.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "collector/watch/proc_directory.h"

namespace leakhunt::watch {

class CgroupTasks {
 public:
  explicit CgroupTasks(const ProcDirectory& process);

  // Looks for the group with the least left again: two files a level.
  void RefreshLimit();

  uint64_t Limit() const { return limit_; }  // its pids.max; 0 = none
  uint64_t Now() const;                      // threads in it; 0 when there is no limit

 private:
  std::vector<std::string> directories_;
  std::string tightest_;
  uint64_t limit_ = 0;
};

// RLIMIT_NPROC where the kernel heeds it: not for root. 0 = unlimited or not heeded.
uint64_t UserTaskLimit(const ProcDirectory& process, std::string_view limits_text);

// Threads of all processes of the user whose process this is; counted at most every ten seconds for all callers.
uint64_t UserTasks(const ProcDirectory& process, int64_t now_ms);

}  // namespace leakhunt::watch
