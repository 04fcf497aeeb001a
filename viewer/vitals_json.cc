#include "viewer/vitals_json.h"

#include "viewer/render/json_parts.h"

namespace leakhunt::viewer {
namespace {

// The parts of RSS, leakhunt's own among them, add up to it; where it was not taken apart they are null.
Json PointJson(const snapshot::VitalsPoint& p) {
  auto part = [&](uint64_t bytes) { return snapshot::HasParts(p) ? Json(bytes) : Json(nullptr); };
  return {{"time", TimeJson(p.time_ms)},
          {"rss_bytes", p.rss_bytes},
          {"pss_bytes", p.pss_bytes == 0 ? Json(nullptr) : Json(p.pss_bytes)},
          {"heap_live_bytes", part(p.heap_live_bytes)},
          {"allocator_slack_bytes", part(p.allocator_slack_bytes)},
          {"mmap_bytes", part(p.mmap_bytes)},
          {"stack_bytes", part(p.stack_bytes)},
          {"file_bytes", part(p.file_bytes)},
          {"shared_bytes", part(p.shared_bytes)},
          {"unseen_bytes", part(p.unseen_bytes)},
          {"open_handles", p.open_handles},
          {"threads", p.threads},
          {"peak_rss_bytes", p.peak_rss_bytes},
          {"page_table_bytes", p.page_table_bytes},
          {"swap_bytes", p.swap_bytes},
          {"virtual_bytes", p.virtual_bytes},
          {"leakhunt_bytes", part(p.leakhunt_bytes)},
          {"cgroup_bytes", p.cgroup_bytes},
          {"allocated_bytes", p.allocated_bytes},
          {"cpu_seconds", NumberJson(p.cpu_seconds)}};
}

Json OrNull(uint64_t value) { return value == 0 ? Json(nullptr) : Json(value); }

}  // namespace

std::string VitalsJson(const VitalsSeries& series) {
  const snapshot::Snapshot& s = series.chosen.snapshot;
  Json points = Json::array();
  for (const snapshot::VitalsPoint& p : series.points) points.push_back(PointJson(p));
  Json exhaustion = Json::array();
  for (const Exhaustion& e : FindExhaustion(series)) {
    exhaustion.push_back({{"what", e.what},
                          {"used", NumberJson(e.used)},
                          {"limit", NumberJson(e.limit)},
                          {"growth_per_s", NumberJson(e.growth_per_s)},
                          {"seconds", NumberJson(e.seconds)}});
  }
  Json limits = {{"cgroup_bytes", OrNull(s.limits.cgroup_bytes)},
                 {"cgroup_oom_kills", s.limits.cgroup_oom_kills},
                 {"address_space_bytes", OrNull(s.limits.address_space_bytes)},
                 {"open_handles", OrNull(s.limits.open_handles)},
                 {"cgroup_threads", OrNull(s.limits.cgroup_tasks)},
                 {"user_threads", OrNull(s.limits.user_tasks)},
                 {"machine_bytes", OrNull(s.limits.machine_bytes)},
                 {"machine_available_bytes", OrNull(s.limits.machine_available_bytes)}};
  return Dump({{"schema", "leakhunt/vitals/1"},
               {"process", ProcessJson(s.process)},
               {"snapshot", SnapshotJson(s)},
               {"points", std::move(points)},
               {"limits", std::move(limits)},
               {"time_to_exhaustion", std::move(exhaustion)}});
}

}  // namespace leakhunt::viewer
