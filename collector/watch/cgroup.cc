#include "collector/watch/cgroup.h"

#include <fcntl.h>

#include <sstream>

namespace leakhunt::watch {
namespace {

// Version 1 says "no limit" with the largest page-aligned signed number.
constexpr uint64_t kNoLimit = uint64_t{1} << 62;

bool HasWord(std::string_view list, std::string_view word) {
  size_t at = 0;
  while (at <= list.size()) {
    size_t end = std::min(list.find(',', at), list.size());
    if (list.substr(at, end - at) == word) return true;
    at = end + 1;
  }
  return false;
}

std::string ReadSmall(const std::string& path) { return ReadFile(path, 64 << 10).value_or(""); }

// A small file that stays open, from its beginning.
std::string ReadAgain(const UniqueFd& file) {
  char text[1024];
  ssize_t got = file.Valid() ? pread(file.Get(), text, sizeof(text), 0) : -1;
  return std::string(text, got > 0 ? static_cast<size_t>(got) : 0);
}

// 0 when absent, "max" or unlimited.
uint64_t ReadLimit(const std::string& path) {
  uint64_t limit = NumberAfter(ReadSmall(path), "").value_or(0);
  return limit >= kNoLimit ? 0 : limit;
}

}  // namespace

CgroupHierarchy FindHierarchy(std::string_view mountinfo, std::string_view controller) {
  CgroupHierarchy unified;
  std::istringstream lines{std::string(mountinfo)};
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string id, parent, device, root, mount, word, type, source, super_options;
    words >> id >> parent >> device >> root >> mount;
    while (words >> word && word != "-") {
    }
    words >> type >> source >> super_options;
    if (type == "cgroup" && HasWord(super_options, controller)) return {mount, root, 1};
    if (type == "cgroup2" && unified.mount.empty()) unified = {mount, root, 2};
  }
  return unified;
}

std::vector<std::string> GroupDirectories(const CgroupHierarchy& hierarchy, std::string_view cgroup_text,
                                          std::string_view controller) {
  std::string group;
  std::istringstream lines{std::string(cgroup_text)};
  for (std::string line; std::getline(lines, line);) {
    size_t first = line.find(':');
    size_t second = first == std::string::npos ? first : line.find(':', first + 1);
    if (second == std::string::npos) continue;
    std::string_view controllers = std::string_view(line).substr(first + 1, second - first - 1);
    bool ours =
        hierarchy.version == 1 ? HasWord(controllers, controller) : (first == 1 && line[0] == '0' && controllers.empty());
    if (ours) group = line.substr(second + 1);
  }
  std::vector<std::string> directories;
  if (hierarchy.mount.empty() || group.empty() || group[0] != '/') return directories;
  if (hierarchy.root != "/" && group.starts_with(hierarchy.root)) group.erase(0, hierarchy.root.size());
  if (group.find("/..") != std::string::npos) group.clear();  // outside our namespace: only the root is visible
  while (!group.empty() && group.back() == '/') group.pop_back();
  for (;;) {
    directories.push_back(hierarchy.mount + group);
    if (group.empty()) return directories;
    group.erase(group.rfind('/'));
  }
}

CgroupWatch::CgroupWatch(const ProcDirectory& process) {
  static const CgroupHierarchy hierarchy = FindHierarchy(ReadFile("/proc/self/mountinfo", 4 << 20).value_or(""));
  version_ = hierarchy.version;
  directories_ = GroupDirectories(hierarchy, process.Read("cgroup").value_or(""));
  if (directories_.empty()) return;
  std::string events = directories_.front() + (version_ == 1 ? "/memory.oom_control" : "/memory.events");
  oom_file_.Reset(open(events.c_str(), O_RDONLY | O_CLOEXEC));
  RefreshLimit();
}

void CgroupWatch::RefreshLimit() {
  if (directories_.empty()) return;
  std::string chosen = directories_.front();
  limit_bytes_ = 0;
  for (const std::string& directory : directories_) {
    uint64_t limit = ReadLimit(directory + (version_ == 1 ? "/memory.limit_in_bytes" : "/memory.max"));
    if (limit == 0 || (limit_bytes_ != 0 && limit >= limit_bytes_)) continue;
    limit_bytes_ = limit;
    chosen = directory;
  }
  if (chosen == tightest_ && usage_file_.Valid()) return;
  tightest_ = chosen;
  usage_file_.Reset(
      open((chosen + (version_ == 1 ? "/memory.usage_in_bytes" : "/memory.current")).c_str(), O_RDONLY | O_CLOEXEC));
}

CgroupReading CgroupWatch::Read() const {
  CgroupReading reading;
  reading.limit_bytes = limit_bytes_;
  reading.usage_bytes = NumberAfter(ReadAgain(usage_file_), "").value_or(0);
  if (limit_bytes_ == 0 || static_cast<double>(reading.usage_bytes) < kNearLimit * static_cast<double>(limit_bytes_))
    return reading;
  const char* key = version_ == 1 ? "total_inactive_file" : "inactive_file";
  uint64_t idle = NumberAfter(ReadSmall(tightest_ + "/memory.stat"), key).value_or(0);
  reading.working_bytes = reading.usage_bytes > idle ? reading.usage_bytes - idle : 0;
  return reading;
}

uint64_t CgroupWatch::OomKills() const { return NumberAfter(ReadAgain(oom_file_), "oom_kill ").value_or(0); }

}  // namespace leakhunt::watch
