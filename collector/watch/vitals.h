// A process's vitals as the kernel counts them, once a second: resident memory and what it is made of, descriptors,
// threads, cgroup use, limits.
//
// Cheap figures are read at each tick. smaps, which holds the process's mapping lock while it is read, is paced by
// its own cost (at most kSmapsShare of the time) and never more often than kSmapsPauseMs, except for snapshots.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "collector/snapshot/model.h"
#include "collector/watch/cgroup.h"
#include "collector/watch/proc_directory.h"
#include "collector/watch/resident_pages.h"
#include "collector/watch/task_counts.h"

namespace leakhunt::watch {

inline constexpr int64_t kSmapsPauseMs = 10'000;
inline constexpr int64_t kLimitPauseMs = 10'000;
inline constexpr double kSmapsShare = 0.002;

enum class SmapsWish { kWhenDue, kNow };

class VitalsWatch {
 public:
  explicit VitalsWatch(const ProcDirectory& process);

  // One reading at `now_ms`; figures that cannot be read stay 0. allocated_bytes and the parts of RSS that the kernel
  // does not know are the caller's (AddParts). Where smaps was read, RSS is the sum of it, so that the parts add up.
  snapshot::VitalsPoint Read(const ProcDirectory& process, int64_t now_ms, SmapsWish wish);

  // Limits that hold for the process now.
  snapshot::Limits ReadLimits(const ProcDirectory& process);

  // Memory as the last smaps reading found it; null when that was not the last Read, or it could not be read.
  const ResidentPages* Memory() const { return memory_ ? &*memory_ : nullptr; }

  // Lets go of it, and of the descriptor it holds.
  void ForgetMemory() { memory_.reset(); }

  const CgroupReading& Cgroup() const { return cgroup_reading_; }

  // The cgroup's use alone, between two readings: one small read, nothing when there is no limit.
  const CgroupReading& ReadCgroup();

  // OOM kills in the process's group since the watch began; answers after the process's death too.
  uint64_t OomKills() const { return cgroup_.OomKills() - oom_kills_at_start_; }

 private:
  void ReadSmaps(const ProcDirectory& process, int64_t now_ms);

  CgroupWatch cgroup_;
  CgroupReading cgroup_reading_;
  std::optional<ResidentPages> memory_;
  CgroupTasks cgroup_tasks_;
  uint64_t user_task_limit_ = 0;
  uint64_t oom_kills_at_start_ = 0;
  int64_t next_smaps_ms_ = 0;
  int64_t next_limit_ms_ = 0;
};

// Soft limit of a row of /proc/PID/limits ("Max open files"); 0 = unlimited or unknown.
uint64_t SoftLimit(std::string_view limits_text, std::string_view row);

// Resident bytes alone: one small read. 0 when unreadable.
uint64_t ResidentBytes(const ProcDirectory& process);

// Open descriptors of a process; 0 when unreadable.
uint64_t CountDescriptors(const ProcDirectory& process);

}  // namespace leakhunt::watch
