#include "collector/ledger/header_fields.h"

#include <algorithm>
#include <cstring>

namespace leakhunt::ledger {

namespace {

std::vector<std::string> SplitArguments(const char* text, size_t bytes) {
  std::vector<std::string> arguments;
  for (size_t at = 0; at < bytes;) {
    const size_t length = ::strnlen(text + at, bytes - at);
    arguments.emplace_back(text + at, length);
    at += length + 1;
  }
  return arguments;
}

void FillProcess(const protocol::ProcessHeader& header, const ProcessClock& clock, int64_t now_ms,
                 snapshot::ProcessInfo* process) {
  process->pid = static_cast<int>(header.pid);
  process->parent_pid = static_cast<int>(header.parent_pid);
  process->name = header.name;
  process->executable = header.executable;
  process->command = SplitArguments(header.command, header.command_bytes);
  process->started_ms = clock.started_ms();
  process->image = header.image;
  process->flags = header.flags;
  const bool forked = (header.flags & protocol::kFlagForkedChild) != 0;
  process->forked_from_pid = forked ? static_cast<int>(header.forked_from_pid) : 0;
  const auto end = static_cast<protocol::ImageEnd>(header.image_end);
  if (end != protocol::ImageEnd::kExit && end != protocol::ImageEnd::kExec) return;
  process->end = snapshot::End::kExit;
  process->ended_ms = now_ms;
  process->replaced_by_exec = end == protocol::ImageEnd::kExec;
  if (end == protocol::ImageEnd::kExit) process->exit_status = header.exit_status & 0xFF;
}

void FillSampling(const protocol::ProcessHeader& header, const ProcessClock& clock, double process_cpu_seconds,
                  snapshot::Sampling* sampling) {
  const auto effective = [&](uint64_t bytes) { return std::max<uint64_t>(bytes, 1); };
  sampling->mean_bytes = effective(std::max(header.interval_bytes, header.floor_interval_bytes));
  sampling->exact = sampling->mean_bytes == 1;
  sampling->history.clear();
  for (uint32_t i = 0; i < header.sampling_points; ++i) {
    const protocol::SamplingPoint& point = header.sampling[i];
    sampling->history.push_back({clock.MonotonicMs(point.time_ns), effective(point.mean_bytes)});
    if (point.mean_bytes > 1) sampling->exact = false;
  }
  sampling->budget_percent = header.fixed_interval_bytes != 0 ? 0 : static_cast<double>(header.budget_ppm) / 10'000;
  if (process_cpu_seconds > 0) {
    const double own_seconds = static_cast<double>(header.own_cpu_ns) * 1e-9;
    sampling->measured_overhead_percent = std::min(100.0, 100 * own_seconds / process_cpu_seconds);
  }
}

void FillLosses(const protocol::ProcessHeader& header, uint64_t refused, snapshot::Losses* losses) {
  losses->records = header.lost_records;
  losses->bytes = header.lost_bytes;
  losses->truncated_stacks = header.truncated_stacks;
  losses->unknown_stacks = header.unknown_stacks;
  losses->stale_records = header.stale_records;
  losses->slow_visits = header.slow_visits;
  losses->fallback_walks = header.fallback_walks;
  losses->invalid_records = refused;
}

// Only points that rise: the guest may be thinning its ring while it is copied.
void FillActivity(const protocol::ProcessHeader& header, const ProcessClock& clock, int64_t now_ms,
                  std::vector<snapshot::ActivityPoint>* activity) {
  activity->clear();
  const auto add = [&](int64_t time_ms, uint64_t allocated_bytes) {
    const bool rises = activity->empty() ||
                       (time_ms > activity->back().time_ms && allocated_bytes >= activity->back().allocated_bytes);
    if (rises) activity->push_back({time_ms, allocated_bytes});
  };
  for (uint32_t i = 0; i < header.activity_points; ++i) {
    add(clock.MonotonicMs(header.activity[i].time_ns), header.activity[i].allocated_bytes);
  }
  add(now_ms, header.allocated_bytes);
}

}  // namespace

void FillFromHeader(const protocol::ProcessHeader& header, const ProcessClock& clock, const CaptureOptions& options,
                    uint64_t refused, snapshot::Snapshot* out) {
  FillProcess(header, clock, options.now_ms, &out->process);
  FillSampling(header, clock, options.process_cpu_seconds, &out->sampling);
  FillLosses(header, refused, &out->losses);
  FillActivity(header, clock, options.now_ms, &out->activity);
}

}  // namespace leakhunt::ledger
