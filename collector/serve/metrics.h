// The recordings' newest figures for Prometheus.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace leakhunt::serve {

// One line of the processes being recorded, from the newest snapshot of each recording below `output`.
struct ProcessRow {
  int pid = 0;
  std::string name;
  std::string state;  // "running", "exit", …
  int64_t time_ms = 0;
  double rss_bytes = 0, live_bytes = 0, live_low = 0, live_high = 0, slack_bytes = 0, mmap_bytes = 0,
         unseen_bytes = 0, shared_bytes = 0, stack_bytes = 0, file_bytes = 0,
         leakhunt_bytes = 0;
  double open_handles = 0, threads = 0, cgroup_bytes = 0, cgroup_limit_bytes = 0, handle_limit = 0;
  double lost_records = 0;
  std::filesystem::path directory;
  std::vector<std::filesystem::path> files;
};

// Newest first; unreadable recordings are left out. Snapshots are read again only when there is a newer one.
std::vector<ProcessRow> ReadRows(const std::filesystem::path& output);

// Text exposition format, of the processes that run.
std::string Metrics(const std::vector<ProcessRow>& rows);

// The page at "/": every process, its figures, links to the answers of the API.
std::string Page(const std::vector<ProcessRow>& rows);

}  // namespace leakhunt::serve
