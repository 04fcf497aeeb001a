#include "collector/watch/thread_lister.h"

#include <algorithm>
#include <cstdlib>
#include <string>

namespace leakhunt::watch {
namespace {

// The line "NSpid:" (proc(5)): the id in each pid namespace from the reader's down to the process's own, tabs between them.
std::string NamespaceIds(const ProcDirectory& process, const std::string& name) {
  const std::string status = process.Read(name.c_str(), 1 << 14).value_or("");
  const size_t key = status.find("\nNSpid:\t");
  if (key == std::string::npos) return "";
  const size_t first = status.find('\t', key) + 1;
  return status.substr(first, status.find('\n', first) - first);
}

bool HasOwnNamespace(const ProcDirectory& process) { return NamespaceIds(process, "status").find('\t') != std::string::npos; }

uint32_t InnermostId(const ProcDirectory& process, uint32_t tid) {
  const std::string ids = NamespaceIds(process, "task/" + std::to_string(tid) + "/status");
  const size_t tab = ids.rfind('\t');
  return tab == std::string::npos ? 0 : static_cast<uint32_t>(std::strtoul(ids.c_str() + tab + 1, nullptr, 10));
}

}  // namespace

std::map<uint32_t, uint32_t> ThreadLister::InnerTids(const ProcDirectory& process, const std::vector<int>& tids) const {
  std::map<uint32_t, uint32_t> inner;
  for (const int tid : tids) {
    const auto outer = static_cast<uint32_t>(tid);
    const auto known = inner_.find(outer);
    const uint32_t found = known != inner_.end() ? known->second : InnermostId(process, outer);
    if (found != 0) inner[outer] = found;
  }
  return inner;
}

void ThreadLister::Read(const ProcDirectory& process, int64_t now_ms) {
  const auto tids = process.Numbers("task");
  if (!tids || tids->empty()) return;
  list_ = {.tids = {}, .listed_ms = now_ms};
  if (!HasOwnNamespace(process)) {
    list_.tids.assign(tids->begin(), tids->end());
    return;
  }
  inner_ = InnerTids(process, *tids);
  for (const auto& [outer, inner] : inner_) list_.tids.push_back(inner);
  std::sort(list_.tids.begin(), list_.tids.end());
}

}  // namespace leakhunt::watch
