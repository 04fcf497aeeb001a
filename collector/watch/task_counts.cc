#include "collector/watch/task_counts.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <memory>

#include "collector/watch/cgroup.h"
#include "collector/watch/vitals.h"

namespace leakhunt::watch {
namespace {

constexpr int64_t kCountPauseMs = 10'000;

uint64_t NumberIn(const std::string& path) { return NumberAfter(ReadFile(path, 64).value_or(""), "").value_or(0); }

uid_t OwnerOf(const ProcDirectory& process) {
  struct stat status {};
  return process.Valid() && fstat(process.Fd(), &status) == 0 ? status.st_uid : 0;
}

// The number of links of a process's task directory is two and its threads.
std::map<uid_t, uint64_t> CountAll() {
  std::map<uid_t, uint64_t> counts;
  std::unique_ptr<DIR, int (*)(DIR*)> proc(opendir("/proc"), closedir);
  if (!proc) return counts;
  while (const dirent* entry = readdir(proc.get())) {
    if (entry->d_name[0] < '1' || entry->d_name[0] > '9') continue;
    struct stat owner {}, tasks {};
    std::string task = entry->d_name;
    task += "/task";
    if (fstatat(dirfd(proc.get()), entry->d_name, &owner, 0) != 0) continue;
    if (fstatat(dirfd(proc.get()), task.c_str(), &tasks, 0) != 0 || tasks.st_nlink < 2) continue;
    counts[owner.st_uid] += tasks.st_nlink - 2;
  }
  return counts;
}

}  // namespace

CgroupTasks::CgroupTasks(const ProcDirectory& process) {
  static const CgroupHierarchy hierarchy =
      FindHierarchy(ReadFile("/proc/self/mountinfo", 4 << 20).value_or(""), "pids");
  directories_ = GroupDirectories(hierarchy, process.Read("cgroup").value_or(""), "pids");
  RefreshLimit();
}

void CgroupTasks::RefreshLimit() {
  limit_ = 0;
  uint64_t least = 0;
  for (const std::string& directory : directories_) {
    const uint64_t limit = NumberIn(directory + "/pids.max");
    if (limit == 0) continue;  // "max"
    const uint64_t now = NumberIn(directory + "/pids.current");
    const uint64_t left = limit - std::min(limit, now);
    if (limit_ != 0 && left >= least) continue;
    limit_ = limit;
    least = left;
    tightest_ = directory;
  }
}

uint64_t CgroupTasks::Now() const { return limit_ == 0 ? 0 : NumberIn(tightest_ + "/pids.current"); }

uint64_t UserTaskLimit(const ProcDirectory& process, std::string_view limits_text) {
  return OwnerOf(process) == 0 ? 0 : SoftLimit(limits_text, "Max processes");
}

uint64_t UserTasks(const ProcDirectory& process, int64_t now_ms) {
  static std::map<uid_t, uint64_t> counts;
  static int64_t counted_ms = 0;
  if (counted_ms == 0 || now_ms - counted_ms >= kCountPauseMs || now_ms < counted_ms) {
    counts = CountAll();
    counted_ms = now_ms;
  }
  const auto at = counts.find(OwnerOf(process));
  return at == counts.end() ? 0 : at->second;
}

}  // namespace leakhunt::watch
