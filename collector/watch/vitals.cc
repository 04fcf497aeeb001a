#include "collector/watch/vitals.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <chrono>

namespace leakhunt::watch {
namespace {

constexpr size_t kMaxSmapsBytes = 64 << 20;
constexpr uint64_t kKiB = 1024;
constexpr int64_t kFirstSmapsMs = 1000;

uint64_t KibAfter(std::string_view text, std::string_view key) { return NumberAfter(text, key).value_or(0) * kKiB; }

int64_t MillisecondsOf(std::chrono::steady_clock::duration duration) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(duration).count();
}

}  // namespace

uint64_t SoftLimit(std::string_view limits_text, std::string_view row) {
  return NumberAfter(limits_text, row).value_or(0);
}

uint64_t ResidentBytes(const ProcDirectory& process) {
  const auto living = process.OfLivingThread();
  std::string text = (living ? *living : process).Read("statm").value_or("");
  size_t second = text.find(' ');
  if (second == std::string::npos) return 0;
  return NumberAfter(std::string_view(text).substr(second + 1), "").value_or(0) *
         static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
}

uint64_t CountDescriptors(const ProcDirectory& process) {
  // Since Linux 6.2 the directory's size is the count; before, it is 0 and the entries are counted.
  struct stat status {};
  if (process.Valid() && fstatat(process.Fd(), "fd", &status, 0) == 0 && status.st_size > 0) {
    return static_cast<uint64_t>(status.st_size);
  }
  auto numbers = process.Numbers("fd");
  return numbers ? numbers->size() : 0;
}

VitalsWatch::VitalsWatch(const ProcDirectory& process) : cgroup_(process), cgroup_tasks_(process) { oom_kills_at_start_ = cgroup_.OomKills(); }

const CgroupReading& VitalsWatch::ReadCgroup() {
  if (cgroup_reading_.limit_bytes != 0) cgroup_reading_ = cgroup_.Read();
  return cgroup_reading_;
}

void VitalsWatch::ReadSmaps(const ProcDirectory& process, int64_t now_ms) {
  auto begin = std::chrono::steady_clock::now();
  if (auto text = process.Read("smaps", kMaxSmapsBytes); text && !text->empty()) {
    UniqueFd pagemap(openat(process.Fd(), "pagemap", O_RDONLY | O_CLOEXEC));
    memory_.emplace(ParseMemoryMap(*text), PageRuns(std::move(pagemap)));
  }
  auto cost_ms = static_cast<double>(MillisecondsOf(std::chrono::steady_clock::now() - begin));
  next_smaps_ms_ = now_ms + std::max(kSmapsPauseMs, static_cast<int64_t>(cost_ms / kSmapsShare));
}

snapshot::VitalsPoint VitalsWatch::Read(const ProcDirectory& process, int64_t now_ms, SmapsWish wish) {
  snapshot::VitalsPoint point;
  point.time_ms = now_ms;
  const auto living = process.OfLivingThread();
  const ProcDirectory& memory = living ? *living : process;
  std::string status = memory.Read("status").value_or("");
  point.rss_bytes = KibAfter(status, "VmRSS:");
  point.peak_rss_bytes = KibAfter(status, "VmHWM:");
  point.swap_bytes = KibAfter(status, "VmSwap:");
  point.page_table_bytes = KibAfter(status, "VmPTE:");
  point.virtual_bytes = KibAfter(status, "VmSize:");
  point.threads = NumberAfter(status, "Threads:").value_or(0);
  if (auto stat = ParseProcessStat(process.Read("stat").value_or(""))) point.cpu_seconds = stat->cpu_seconds;
  point.open_handles = CountDescriptors(memory);
  point.user_tasks = user_task_limit_ == 0 ? 0 : UserTasks(memory, now_ms);
  if (now_ms >= next_limit_ms_) {
    cgroup_.RefreshLimit();
    cgroup_tasks_.RefreshLimit();
    next_limit_ms_ = now_ms + kLimitPauseMs;
  }
  point.cgroup_tasks = cgroup_tasks_.Now();
  cgroup_reading_ = cgroup_.Read();
  point.cgroup_bytes = cgroup_reading_.usage_bytes;
  memory_.reset();
  if (next_smaps_ms_ == 0) next_smaps_ms_ = now_ms + kFirstSmapsMs;  // not for programs that end at once
  if (point.rss_bytes > 0 && (wish == SmapsWish::kNow || now_ms >= next_smaps_ms_)) {
    ReadSmaps(memory, now_ms);
    if (!memory_) return point;
    const MemoryMap& map = memory_->Map();
    point.rss_bytes = map.RssBytes();
    point.peak_rss_bytes = std::max(point.peak_rss_bytes, point.rss_bytes);  // VmHWM lags by some pages a processor
    point.pss_bytes = map.pss_bytes;
    point.stack_bytes = map.RssBytesOf(MemoryClass::kStack);
    point.file_bytes = map.RssBytesOf(MemoryClass::kFile);
    point.shared_bytes = map.RssBytesOf(MemoryClass::kShared);
    point.leakhunt_bytes = map.RssBytesOf(MemoryClass::kLeakhunt);
  }
  return point;
}

snapshot::Limits VitalsWatch::ReadLimits(const ProcDirectory& process) {
  snapshot::Limits limits;
  std::string text = process.Read("limits").value_or("");
  limits.address_space_bytes = SoftLimit(text, "Max address space");
  limits.open_handles = SoftLimit(text, "Max open files");
  limits.cgroup_tasks = cgroup_tasks_.Limit();
  limits.user_tasks = user_task_limit_ = UserTaskLimit(process, text);
  limits.cgroup_bytes = cgroup_reading_.limit_bytes;
  limits.cgroup_oom_kills = cgroup_.OomKills();
  std::string machine = ReadFile("/proc/meminfo").value_or("");
  limits.machine_bytes = KibAfter(machine, "MemTotal:");
  limits.machine_available_bytes = KibAfter(machine, "MemAvailable:");
  return limits;
}

}  // namespace leakhunt::watch
