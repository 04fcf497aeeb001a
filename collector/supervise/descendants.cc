#include "collector/supervise/descendants.h"

#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <sstream>
#include <system_error>

#include "collector/watch/proc_directory.h"

namespace leakhunt::supervise {
namespace {

constexpr size_t kMostNamed = 4;

// The living children of each living process, for kernels that do not list them (CONFIG_PROC_CHILDREN).
std::multimap<pid_t, pid_t> AllChildren() {
  std::multimap<pid_t, pid_t> children;
  std::error_code error;
  for (std::filesystem::directory_iterator entry("/proc", error), end; !error && entry != end; entry.increment(error)) {
    const std::string name = entry->path().filename().native();
    pid_t pid = 0;
    if (std::from_chars(name.data(), name.data() + name.size(), pid).ptr != name.data() + name.size()) continue;
    auto stat = watch::ParseProcessStat(watch::ReadFile("/proc/" + name + "/stat").value_or(""));
    if (stat && stat->state != 'Z' && stat->state != 'X') children.emplace(stat->parent_pid, pid);
  }
  return children;
}

// Those of one process by its threads' own lists; nothing where the kernel keeps none.
std::optional<std::vector<pid_t>> ListedChildren(pid_t pid) {
  std::vector<pid_t> children;
  auto process = watch::ProcDirectory::Open(pid);
  if (!process) return children;
  for (int thread : process->Numbers("task").value_or(std::vector<int>{})) {
    auto list = process->Read(("task/" + std::to_string(thread) + "/children").c_str());
    if (!list && thread == pid) return std::nullopt;
    std::istringstream words(list.value_or(""));
    for (pid_t child; words >> child;) children.push_back(child);
  }
  return children;
}

void AddBelow(pid_t pid, std::set<pid_t>* found) {
  for (pid_t child : ListedChildren(pid).value_or(std::vector<pid_t>{})) {
    if (found->insert(child).second) AddBelow(child, found);
  }
}

void AddBelow(const std::multimap<pid_t, pid_t>& children, pid_t pid, std::set<pid_t>* found) {
  for (auto [child, end] = children.equal_range(pid); child != end; ++child) {
    if (found->insert(child->second).second) AddBelow(children, child->second, found);
  }
}

std::set<pid_t> Descendants(pid_t pid) {
  std::set<pid_t> found;
  if (ListedChildren(pid)) {
    AddBelow(pid, &found);
  } else {
    AddBelow(AllChildren(), pid, &found);
  }
  return found;
}

// The guest's pages, which only a process that records has: leakhunt's own programs have none.
bool IsRecorded(pid_t pid) {
  constexpr size_t kMostMaps = 16 << 20;
  auto maps = watch::ReadFile("/proc/" + std::to_string(pid) + "/maps", kMostMaps);
  return maps && maps->find("/memfd:leakhunt") != std::string::npos;
}

}  // namespace

std::vector<Descendant> RecordedDescendants() {
  std::vector<Descendant> found;
  for (pid_t pid : Descendants(getpid())) {
    if (!IsRecorded(pid)) continue;
    std::string name = watch::ReadFile("/proc/" + std::to_string(pid) + "/comm").value_or("");
    found.push_back({pid, name.substr(0, name.find('\n'))});
  }
  return found;
}

std::string Name(const std::vector<Descendant>& processes) {
  std::string text;
  const size_t named = std::min(processes.size(), kMostNamed);
  for (size_t i = 0; i < named; ++i) {
    if (i > 0) text += i + 1 == processes.size() ? " and " : ", ";
    text += processes[i].name + " (pid " + std::to_string(processes[i].pid) + ")";
  }
  if (processes.size() > named) text += " and " + std::to_string(processes.size() - named) + " more";
  return text;
}

}  // namespace leakhunt::supervise
