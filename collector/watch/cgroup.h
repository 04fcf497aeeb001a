// The memory cgroups above a process, of version 1 and 2: usage, the tightest limit, and how often the kernel killed.
//
// Reads are by path below the hierarchy's mount point, found once from mountinfo. Everything is best effort: a
// container may show only part of the tree, and a group may be gone when its process is.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "collector/base/unique_fd.h"
#include "collector/watch/proc_directory.h"

namespace leakhunt::watch {

struct CgroupHierarchy {
  std::string mount;  // where the hierarchy is mounted; empty = none
  std::string root;   // which of its groups is visible there ("/" or a container's own)
  int version = 2;
};

// From the text of /proc/self/mountinfo: a version 1 hierarchy of the controller when there is one, else version 2.
CgroupHierarchy FindHierarchy(std::string_view mountinfo, std::string_view controller = "memory");

// Directories from the process's group up to the mount point, innermost first, by the text of /proc/PID/cgroup.
std::vector<std::string> GroupDirectories(const CgroupHierarchy& hierarchy, std::string_view cgroup_text,
                                          std::string_view controller = "memory");

struct CgroupReading {
  uint64_t usage_bytes = 0;  // of the group with the tightest limit, else the innermost; page cache included
  uint64_t working_bytes =
      0;  // usage less inactive file pages (what cannot simply be dropped); asked when near the limit
  uint64_t limit_bytes = 0;  // tightest above the process; 0 = none
};

class CgroupWatch {
 public:
  explicit CgroupWatch(const ProcDirectory& process);

  // Looks for the tightest limit above the process again: a file a level.
  void RefreshLimit();

  // One small read, memory.stat (which is dear) only from kNearLimit of the limit on.
  CgroupReading Read() const;

  // OOM kills counted in the process's own group so far; the descriptor stays open so that it can be asked after the
  // process's death. 0 when unknown.
  uint64_t OomKills() const;

 private:
  std::vector<std::string> directories_;
  std::string tightest_;
  uint64_t limit_bytes_ = 0;
  int version_ = 2;
  UniqueFd usage_file_, oom_file_;
};

inline constexpr double kNearLimit = 0.8;

}  // namespace leakhunt::watch
