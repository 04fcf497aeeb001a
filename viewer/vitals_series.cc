#include "viewer/vitals_series.h"

#include <algorithm>

#include "viewer/growth.h"

namespace leakhunt::viewer {
namespace {

using snapshot::VitalsPoint;

constexpr size_t kMostSnapshots = 1000;
constexpr size_t kSlopePoints = 200;  // pairs grow with the square

double SlopeOfRecentHalf(const std::vector<VitalsPoint>& points, uint64_t VitalsPoint::* member) {
  std::vector<VitalsPoint> half(points.begin() + static_cast<std::ptrdiff_t>(points.size() / 2), points.end());
  if (half.size() < 3) half = points;
  half = ThinPoints(std::move(half), kSlopePoints);
  std::vector<double> times, values;
  for (const VitalsPoint& p : half) {
    times.push_back(static_cast<double>(p.time_ms - half.front().time_ms) / 1000);
    values.push_back(static_cast<double>(p.*member));
  }
  return TheilSenSlope(times, values).value_or(0);
}

}  // namespace

Result<VitalsSeries> ReadVitals(Context& context) {
  if (context.options.all) return Error{"vitals are of one process: --pid picks it", 2};
  Result<std::vector<ChosenSnapshot>> chosen = ChooseSnapshots(context.options, context.err);
  if (!chosen) return std::move(chosen.error());
  VitalsSeries series{std::move(chosen->front()), {}};
  for (const snapshot::Snapshot& s : ReadHistory(series.chosen, kMostSnapshots, context.err)) {
    series.points.insert(series.points.end(), s.vitals.begin(), s.vitals.end());
  }
  auto by_time = [](const VitalsPoint& a, const VitalsPoint& b) { return a.time_ms < b.time_ms; };
  std::stable_sort(series.points.begin(), series.points.end(), by_time);
  auto same = [](const VitalsPoint& a, const VitalsPoint& b) { return a.time_ms == b.time_ms; };
  series.points.erase(std::unique(series.points.begin(), series.points.end(), same), series.points.end());
  return series;
}

std::vector<VitalsPoint> ThinPoints(std::vector<VitalsPoint> points, size_t most) {
  if (most == 0 || points.size() <= most) return points;
  if (most == 1) return {points.back()};
  std::vector<VitalsPoint> thin;
  for (size_t i = 0; i < most; ++i) thin.push_back(points[i * (points.size() - 1) / (most - 1)]);
  return thin;
}

std::vector<Exhaustion> FindExhaustion(const VitalsSeries& series) {
  std::vector<Exhaustion> found;
  if (series.points.size() < 2) return found;
  const snapshot::Snapshot& s = series.chosen.snapshot;
  const VitalsPoint& now = series.points.back();
  auto consider = [&](const char* what, uint64_t used, uint64_t limit, uint64_t VitalsPoint::* grows) {
    double growth = SlopeOfRecentHalf(series.points, grows);
    if (limit == 0 || growth <= 0 || used >= limit) return;
    double left = static_cast<double>(limit - used);
    found.push_back({what, static_cast<double>(used), static_cast<double>(limit), growth, left / growth});
  };
  consider("memory of the cgroup", std::max(now.cgroup_bytes, now.rss_bytes), s.limits.cgroup_bytes,
           now.cgroup_bytes != 0 ? &VitalsPoint::cgroup_bytes : &VitalsPoint::rss_bytes);
  consider("address space (RLIMIT_AS)", now.virtual_bytes, s.limits.address_space_bytes, &VitalsPoint::virtual_bytes);
  consider("memory of the machine", s.limits.machine_bytes - std::min(s.limits.machine_bytes, s.limits.machine_available_bytes),
           s.limits.machine_bytes, &VitalsPoint::rss_bytes);
  consider("threads of the cgroup (pids.max)", now.cgroup_tasks, s.limits.cgroup_tasks, &VitalsPoint::threads);
  consider("threads of the user (RLIMIT_NPROC)", now.user_tasks, s.limits.user_tasks, &VitalsPoint::threads);
  consider("descriptors (RLIMIT_NOFILE)", now.open_handles, s.limits.open_handles, &VitalsPoint::open_handles);
  std::sort(found.begin(), found.end(), [](const Exhaustion& a, const Exhaustion& b) { return a.seconds < b.seconds; });
  return found;
}

const std::vector<VitalsFigure>& VitalsFigures() {
  static const std::vector<VitalsFigure> kFigures = {
      {"RSS", "rss_bytes", &VitalsPoint::rss_bytes, true, false},
      {"PSS", "pss_bytes", &VitalsPoint::pss_bytes, true, true},
      {"  live heap", "heap_live_bytes", &VitalsPoint::heap_live_bytes, true, true},
      {"  allocator slack", "allocator_slack_bytes", &VitalsPoint::allocator_slack_bytes, true, true},
      {"  heap not seen", "unseen_bytes", &VitalsPoint::unseen_bytes, true, true},
      {"  mappings", "mmap_bytes", &VitalsPoint::mmap_bytes, true, true},
      {"  stacks", "stack_bytes", &VitalsPoint::stack_bytes, true, true},
      {"  files", "file_bytes", &VitalsPoint::file_bytes, true, true},
      {"  shared memory", "shared_bytes", &VitalsPoint::shared_bytes, true, true},
      {"  leakhunt's own", "leakhunt_bytes", &VitalsPoint::leakhunt_bytes, true, true},
      {"page tables", "page_table_bytes", &VitalsPoint::page_table_bytes, true, false},
      {"swap", "swap_bytes", &VitalsPoint::swap_bytes, true, false},
      {"virtual", "virtual_bytes", &VitalsPoint::virtual_bytes, true, false},
      {"cgroup", "cgroup_bytes", &VitalsPoint::cgroup_bytes, true, false},
      {"descriptors", "open_handles", &VitalsPoint::open_handles, false, false},
      {"threads", "threads", &VitalsPoint::threads, false, false}};
  return kFigures;
}

bool Known(const VitalsPoint& point, const VitalsFigure& figure) {
  if (figure.member == &VitalsPoint::pss_bytes) return point.pss_bytes != 0;
  return !figure.is_part || snapshot::HasParts(point);
}

}  // namespace leakhunt::viewer
