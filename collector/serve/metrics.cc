#include "collector/serve/metrics.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <mutex>

#include "collector/base/clean_text.h"
#include "collector/snapshot/estimate.h"
#include "collector/snapshot/recording.h"

namespace leakhunt::serve {
namespace {

constexpr size_t kMostRecordings = 4096;

ProcessRow RowOf(const snapshot::Snapshot& s, const snapshot::Recording& recording) {
  ProcessRow row;
  row.pid = s.process.pid;
  row.name = s.process.name;
  row.state = snapshot::EndName(s.process.end);
  row.time_ms = s.time_ms;
  snapshot::Weighted live;
  for (const auto& site : s.sites) {
    if (site.kind == snapshot::SiteKind::kHeap) live += site.live_bytes;
  }
  snapshot::Estimate limits = snapshot::Limits(live);
  row.live_bytes = limits.value, row.live_low = limits.low, row.live_high = limits.high;
  row.open_handles = static_cast<double>(s.handle_totals.open + s.handle_totals.untracked + s.handle_totals.inherited);
  row.handle_limit = static_cast<double>(s.handle_totals.limit);
  row.cgroup_limit_bytes = static_cast<double>(s.limits.cgroup_bytes);
  row.lost_records = static_cast<double>(s.losses.records);
  if (!s.vitals.empty()) {
    const snapshot::VitalsPoint& v = s.vitals.back();
    row.rss_bytes = static_cast<double>(v.rss_bytes);
    row.slack_bytes = static_cast<double>(v.allocator_slack_bytes);
    row.mmap_bytes = static_cast<double>(v.mmap_bytes);
    row.unseen_bytes = static_cast<double>(v.unseen_bytes);
    row.shared_bytes = static_cast<double>(v.shared_bytes);
    row.stack_bytes = static_cast<double>(v.stack_bytes);
    row.file_bytes = static_cast<double>(v.file_bytes);
    row.leakhunt_bytes = static_cast<double>(v.leakhunt_bytes);
    row.threads = static_cast<double>(v.threads);
    row.cgroup_bytes = static_cast<double>(v.cgroup_bytes);
  }
  row.directory = recording.directory;
  row.files = recording.files;
  return row;
}

std::string Size(double bytes) {
  const char* units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
  int unit = 0;
  while (bytes >= 1024 && unit < 4) bytes /= 1024, ++unit;
  return unit == 0 ? fmt::format("{:.0f} B", bytes) : fmt::format("{:.1f} {}", bytes, units[unit]);
}

}  // namespace

std::vector<ProcessRow> ReadRows(const std::filesystem::path& output) {
  static std::mutex mutex;
  static std::map<std::filesystem::path, ProcessRow> known;  // by newest file
  std::lock_guard lock(mutex);
  auto recordings = snapshot::FindRecordings(output);
  if (!recordings) return {};
  std::map<std::filesystem::path, ProcessRow> fresh;
  for (const auto& recording : *recordings) {
    if (recording.files.empty() || fresh.size() >= kMostRecordings) continue;
    const auto& newest = recording.files.back();
    if (auto found = known.find(newest); found != known.end()) {
      fresh[newest] = found->second;
    } else if (auto read = snapshot::ReadSnapshot(newest)) {
      fresh[newest] = RowOf(*read, recording);
    }
  }
  known = std::move(fresh);
  std::vector<ProcessRow> rows;
  for (const auto& [file, row] : known) rows.push_back(row);
  std::stable_sort(rows.begin(), rows.end(), [](const auto& a, const auto& b) { return a.time_ms > b.time_ms; });
  return rows;
}

std::string Metrics(const std::vector<ProcessRow>& rows) {
  struct Metric {
    const char* name;
    const char* help;
    double ProcessRow::*field;
  };
  constexpr Metric kMetrics[] = {
      {"leakhunt_rss_bytes", "Resident memory.", &ProcessRow::rss_bytes},
      {"leakhunt_heap_live_bytes", "Live heap bytes, estimated.", &ProcessRow::live_bytes},
      {"leakhunt_heap_live_bytes_low", "Lower 95 % limit of the live heap.", &ProcessRow::live_low},
      {"leakhunt_heap_live_bytes_high", "Upper 95 % limit of the live heap.", &ProcessRow::live_high},
      {"leakhunt_allocator_slack_bytes", "Allocator memory that holds nothing live.", &ProcessRow::slack_bytes},
      {"leakhunt_mmap_bytes", "Resident anonymous memory of the program's own mappings.", &ProcessRow::mmap_bytes},
      {"leakhunt_unseen_bytes", "Resident anonymous memory of no mapping and no allocation that was seen.",
       &ProcessRow::unseen_bytes},
      {"leakhunt_stack_bytes", "Resident thread stacks.", &ProcessRow::stack_bytes},
      {"leakhunt_file_bytes", "Resident pages of files.", &ProcessRow::file_bytes},
      {"leakhunt_shared_bytes", "Resident shared memory.", &ProcessRow::shared_bytes},
      {"leakhunt_own_bytes", "Memory of leakhunt in the process.", &ProcessRow::leakhunt_bytes},
      {"leakhunt_open_handles", "Open descriptors.", &ProcessRow::open_handles},
      {"leakhunt_handle_limit", "Soft limit of open descriptors.", &ProcessRow::handle_limit},
      {"leakhunt_threads", "Threads.", &ProcessRow::threads},
      {"leakhunt_cgroup_bytes", "Memory use of the control group.", &ProcessRow::cgroup_bytes},
      {"leakhunt_cgroup_limit_bytes", "Tightest memory limit above the process; 0 = none.",
       &ProcessRow::cgroup_limit_bytes},
      {"leakhunt_lost_records", "Allocations that could not be recorded.", &ProcessRow::lost_records},
  };
  std::string text;
  for (const Metric& metric : kMetrics) {
    text += fmt::format("# HELP {} {}\n# TYPE {} gauge\n", metric.name, metric.help, metric.name);
    for (const ProcessRow& row : rows) {
      if (row.state != "running") continue;
      text +=
          fmt::format("{}{{pid=\"{}\",name=\"{}\"}} {}\n", metric.name, row.pid, PrometheusLabelValue(row.name), row.*metric.field);
    }
  }
  return text;
}

std::string Page(const std::vector<ProcessRow>& rows) {
  std::string page =
      "<!doctype html><html lang=en><meta charset=utf-8><title>leakhunt</title><style>body{font:14px "
      "system-ui;margin:2em}"
      "table{border-collapse:collapse}td,th{padding:.3em .8em;border-bottom:1px solid #ccc;text-align:right}"
      "td:nth-child(2),th:nth-child(2),td:nth-child(3){text-align:left}</style><h1>leakhunt</"
      "h1><table><tr><th>pid<th>program"
      "<th>state<th>RSS<th>live heap<th>slack<th>handles<th>threads<th>answers</tr>";
  for (const ProcessRow& row : rows) {
    page += fmt::format("<tr><td>{}<td>{}<td>{}<td>{}<td>{}<td>{}<td>{:.0f}<td>{:.0f}<td>", row.pid, HtmlText(row.name),
                        row.state, Size(row.rss_bytes), Size(row.live_bytes), Size(row.slack_bytes), row.open_handles,
                        row.threads);
    for (const char* answer : {"findings", "top-sites", "handles", "trend", "diff", "vitals"}) {
      page += fmt::format("<a href=\"/api/processes/{}/{}?format=markdown\">{}</a> ", row.pid, answer, answer);
    }
  }
  return page + "</table><p><a href=/metrics>metrics</a> <a href=/api/processes>processes</a></html>\n";
}

}  // namespace leakhunt::serve
