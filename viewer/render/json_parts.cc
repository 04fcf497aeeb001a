#include "viewer/render/json_parts.h"

#include <cmath>

#include "collector/base/clean_text.h"
#include "collector/verdict/consistency.h"

namespace leakhunt::viewer {

Json NumberJson(double value) {
  if (!std::isfinite(value)) return nullptr;
  if (value == std::round(value) && std::abs(value) < 9e15) return static_cast<int64_t>(value);
  return std::round(value * 1000) / 1000;
}

Json TimeJson(int64_t unix_ms) {
  if (unix_ms == 0) return nullptr;
  return NumberJson(static_cast<double>(unix_ms) / 1000);
}

Json AgeJson(int64_t birth_ms, int64_t now_ms) {
  if (birth_ms == 0) return nullptr;
  return NumberJson(static_cast<double>(std::max<int64_t>(0, now_ms - birth_ms)) / 1000);
}

Json EstimateJson(const snapshot::Estimate& e) {
  return {{"value", NumberJson(e.value)}, {"low", NumberJson(e.low)}, {"high", NumberJson(e.high)}};
}

Json EstimateJson(const snapshot::Weighted& sum) { return EstimateJson(snapshot::Limits(sum)); }

Json ProcessJson(const snapshot::ProcessInfo& p) {
  Json json = {{"pid", p.pid},
               {"parent_pid", p.parent_pid},
               {"name", p.name},
               {"command", p.command},
               {"started", TimeJson(p.started_ms)},
               {"ended", TimeJson(p.ended_ms)},
               {"end", snapshot::EndName(p.end)},
               {"exit_status", nullptr}};
  if (p.exit_status) json["exit_status"] = *p.exit_status;
  json["signal"] = p.signal == 0 ? Json(nullptr) : Json(p.signal);
  json["executable"] = p.executable;
  json["host"] = p.host;
  json["image"] = p.image;
  return json;
}

Json SnapshotJson(const snapshot::Snapshot& s) {
  Json json = {{"number", s.number}, {"time", TimeJson(s.time_ms)}, {"reason", s.reason}};
  if (!s.label.empty()) json["label"] = s.label;
  return json;
}

Json SamplingJson(const snapshot::Sampling& s) {
  return {{"mode", s.exact ? "exact" : "sampled"},
          {"mean_bytes", s.mean_bytes},
          {"budget_percent", NumberJson(s.budget_percent)},
          {"measured_overhead_percent", NumberJson(s.measured_overhead_percent)}};
}

Json LossesJson(const snapshot::Losses& l) {
  Json gaps = Json::array();
  for (const auto& gap : l.gaps) gaps.push_back({{"from", TimeJson(gap.from_ms)}, {"to", TimeJson(gap.to_ms)}});
  return {{"records", l.records},
          {"bytes", l.bytes},
          {"gaps", std::move(gaps)},
          {"truncated_stacks", l.truncated_stacks},
          {"unknown_stacks", l.unknown_stacks},
          {"fallback_walks", l.fallback_walks},
          {"stale_records", l.stale_records},
          {"invalid_records", l.invalid_records}};
}

Json InconsistencyJson(const snapshot::Snapshot& snapshot) {
  const auto more = verdict::FindMoreThanMemory(snapshot);
  if (!more) return nullptr;
  return {{"live_bytes_low", NumberJson(more->live_low_bytes)},
          {"in_memory_bytes", NumberJson(more->in_memory_bytes)},
          {"frees_unseen", more->frees_unseen},
          {"text", more->Text()}};
}

Json StackJson(const ResolvedStack& stack) {
  Json frames = Json::array();
  for (const ResolvedFrame& f : stack) {
    frames.push_back({{"function", f.function},
                      {"file", f.file},
                      {"line", f.line},
                      {"column", f.column},
                      {"module", f.module},
                      {"build_id", f.build_id},
                      {"offset", f.offset},
                      {"inlined", f.inlined}});
  }
  return frames;
}

std::string Dump(const Json& json) { 
  return TerminalSafeJson(json.dump(2, ' ', false, Json::error_handler_t::replace)) + "\n";
 }

}  // namespace leakhunt::viewer
