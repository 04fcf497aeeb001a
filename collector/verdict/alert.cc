#include "collector/verdict/alert.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "collector/base/clean_text.h"
#include "collector/verdict/limits.h"
#include "collector/verdict/phrase.h"

namespace leakhunt::verdict {

namespace {

using Json = nlohmann::ordered_json;

constexpr int kQuietToClear = 3;
constexpr double kSureEnough = 0.9;
constexpr int64_t kLongEnoughMs = 120'000;  // a cache that fills looks like a leak for as long as it fills
constexpr double kRateChange = 2;
constexpr double kLimitSteps[] = {3600, 900, 300};  // seconds
constexpr size_t kSuspectsInLine = 3;

bool Leaks(const AlertInput& input) {
  return input.process.verdict == Verdict::kLeaking || input.process.verdict == Verdict::kOnset;
}

// Whether memory (threads included) leaks, or handles. The rate of RSS is not one of a leak of handles.
bool LeaksIn(const ProcessVerdict& process, bool handles) {
  if (process.causes.empty()) return (process.growth == GrowthClass::kHandle) == handles;
  return std::any_of(process.causes.begin(), process.causes.end(), [&](const GrowthCause& cause) {
    return handles ? cause.growth == GrowthClass::kHandle : IsLeakOfMemory(cause.growth);
  });
}

// The limit that the leak of memory, or of handles, meets by its own rate; null when there is none.
const TimeToLimit* LimitOf(const ProcessVerdict& process, bool handles) {
  if (!process.causes.empty()) return SoonestOfLeaks(process, handles);
  return process.limit && LimitsHandles(*process.limit) == handles ? &*process.limit : nullptr;
}

// The sooner of the two.
const TimeToLimit* LimitOf(const AlertInput& input) {
  const TimeToLimit *memory = LimitOf(input.process, false), *handles = LimitOf(input.process, true);
  if (memory == nullptr || handles == nullptr) return memory == nullptr ? handles : memory;
  return memory->seconds <= handles->seconds ? memory : handles;
}

double SecondsLeft(const AlertInput& input) {
  const TimeToLimit* limit = LimitOf(input);
  return limit == nullptr ? 1e300 : limit->seconds;
}

const char* UnitOf(const TimeToLimit& limit) {
  return LimitsHandles(limit) ? "handles" : LimitsThreads(limit) ? "threads" : "bytes";
}

// Somebody is woken by the first alert: it waits for evidence, unless the limit does not.
bool WorthWaking(const AlertInput& input) {
  bool long_enough = input.watched_ms >= kLongEnoughMs || SecondsLeft(input) * 1000 < kLongEnoughMs;
  return input.process.confidence >= kSureEnough && long_enough;
}

Json EstimateJson(const snapshot::Estimate& e) { return {{"value", e.value}, {"low", e.low}, {"high", e.high}}; }

const char* KindName(AlertKind kind) {
  switch (kind) {
    case AlertKind::kRaised: return "raised";
    case AlertKind::kChanged: return "changed";
    case AlertKind::kCleared: return "cleared";
  }
  return "raised";
}

// "2.0 MiB/min, 16 min to the cgroup limit"
std::string RateAndLimit(const ProcessVerdict& process, bool handles) {
  std::string text = PerTime(handles ? process.handles_per_s.value : process.rate_per_s.value, handles);
  const TimeToLimit* limit = LimitOf(process, handles);
  if (limit != nullptr) text += fmt::format(", {} to the {} limit", Duration(limit->seconds * 1000), limit->kind);
  return text;
}

// Each thing that leaks with its own rate and limit.
std::string Rates(const ProcessVerdict& process) {
  const bool memory = LeaksIn(process, false), handles = LeaksIn(process, true);
  if (!handles) return RateAndLimit(process, false);
  return (memory ? RateAndLimit(process, false) + "; " : "") + RateAndLimit(process, true);
}

Json SuspectJson(const Suspect& suspect) {
  return {{"place", suspect.place},
          {"kind", suspect.handles ? "handle" : "memory"},
          {"verdict", VerdictName(suspect.verdict)},
          {suspect.handles ? "open" : "live_bytes", suspect.live},
          {suspect.handles ? "rate_per_s" : "rate_bytes_per_s", EstimateJson(suspect.rate_per_s)}};
}

}  // namespace

std::string AlertState::WhatChanged(const AlertInput& input) const {
  const ProcessVerdict& now = input.process;
  if (rate_said_ > 0 && LeaksIn(now, false) && now.rate_per_s.low >= kRateChange * rate_said_) return "the rate has doubled";
  if (handles_said_ > 0 && LeaksIn(now, true) && now.handles_per_s.low >= kRateChange * handles_said_) return "the rate has doubled";
  for (const Suspect& suspect : input.suspects) {
    bool known = std::find(suspects_said_.begin(), suspects_said_.end(), suspect.id) != suspects_said_.end();
    if (!known) return "a new suspect";
  }
  double left = SecondsLeft(input);
  for (double step : kLimitSteps) {
    if (left < step && limit_said_s_ >= step) return "less than " + Duration(step * 1000) + " to the limit";
  }
  return "";
}

void AlertState::Remember(const AlertInput& input) {
  if (LeaksIn(input.process, false)) rate_said_ = std::max(rate_said_, input.process.rate_per_s.value);
  if (LeaksIn(input.process, true)) handles_said_ = std::max(handles_said_, input.process.handles_per_s.value);
  limit_said_s_ = std::min(limit_said_s_, SecondsLeft(input));
  for (const Suspect& suspect : input.suspects) {
    bool known = std::find(suspects_said_.begin(), suspects_said_.end(), suspect.id) != suspects_said_.end();
    if (!known) suspects_said_.push_back(suspect.id);
  }
}

std::optional<Alert> AlertState::Update(const AlertInput& input) {
  if (!Leaks(input)) {
    if (!raised_ || ++quiet_ < kQuietToClear) return std::nullopt;
    *this = AlertState{};
    return Alert{AlertKind::kCleared, "no leak in " + Count(kQuietToClear) + " verdicts in a row", input};
  }
  quiet_ = 0;
  if (!raised_) {
    if (!WorthWaking(input)) return std::nullopt;
    raised_ = true;
    Remember(input);
    return Alert{AlertKind::kRaised, "", input};
  }
  std::string reason = WhatChanged(input);
  if (reason.empty()) return std::nullopt;
  Remember(input);
  return Alert{AlertKind::kChanged, reason, input};
}

std::string AlertLine(const Alert& alert) {
  const AlertInput& now = alert.now;
  std::string who = fmt::format("{}[{}]", now.name, now.pid);
  if (alert.kind == AlertKind::kCleared) return fmt::format("LEAK CLEARED: {} {}", who, now.process.text);
  bool idle = now.process.active_until_ms > 0;
  std::string line = fmt::format("LEAK: {} {}", who, idle ? now.process.text : Rates(now.process));
  if (!alert.reason.empty()) line += " (" + alert.reason + ")";
  if (now.suspects.empty()) return line;
  line += "; suspects: ";
  for (size_t i = 0; i < std::min(kSuspectsInLine, now.suspects.size()); ++i) {
    const Suspect& suspect = now.suspects[i];
    line += fmt::format("{}{} ({})", i ? ", " : "", suspect.place, PerTime(suspect.rate_per_s.value, suspect.handles));
  }
  if (now.suspects.size() > kSuspectsInLine) line += fmt::format(", {} more", now.suspects.size() - kSuspectsInLine);
  return line;
}

std::string AlertJson(const Alert& alert) {
  const AlertInput& now = alert.now;
  Json suspects = Json::array();
  for (const Suspect& suspect : now.suspects) suspects.push_back(SuspectJson(suspect));
  Json json = {{"schema", "leakhunt/alert/1"},
               {"state", KindName(alert.kind)},
               {"reason", alert.reason},
               {"time", static_cast<double>(now.time_ms) / 1000},
               {"process", {{"name", now.name}, {"pid", now.pid}}},
               {"verdict", VerdictName(now.process.verdict)},
               {"confidence", now.process.confidence},
               {"growth", GrowthClassName(now.process.growth)},
               {"rate_bytes_per_s", EstimateJson(now.process.rate_per_s)},
               {"handles_per_s", EstimateJson(now.process.handles_per_s)},
               {"time_to_limit_s", nullptr},
               {"limit", nullptr},
               {"line", AlertLine(alert)},
               {"suspects", std::move(suspects)}};
  if (const TimeToLimit* limit = LimitOf(now)) {
    json["time_to_limit_s"] = limit->seconds;
    json["limit"] = {{"kind", limit->kind}, {UnitOf(*limit), limit->limit}};
  }
  return TerminalSafeJson(json.dump(-1, ' ', false, Json::error_handler_t::replace)) + "\n";
}

}  // namespace leakhunt::verdict
