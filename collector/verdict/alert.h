// When to say that a process leaks, say it again, or say that it stopped: a state machine over the verdicts of one
// process, fed by the collector at its own pace. Pure: no clock, no I/O; the caller logs the line and runs the hook.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "collector/verdict/process.h"

namespace leakhunt::verdict {

struct Suspect {
  std::string place;  // "handle_request server.cc:42", or "server+0x1234" before symbols
  uint64_t id = 0;    // stable over time: the site's content hash
  bool handles = false;
  Verdict verdict = Verdict::kLeaking;
  snapshot::Estimate rate_per_s;
  double live = 0;    // bytes or handles
};

struct AlertInput {
  int64_t time_ms = 0;
  int64_t watched_ms = 0;  // since the process was first seen
  std::string name;  // of the process
  int pid = 0;
  ProcessVerdict process;
  std::vector<Suspect> suspects;  // leaking sites, worst first
};

enum class AlertKind : uint8_t { kRaised, kChanged, kCleared };

struct Alert {
  AlertKind kind = AlertKind::kRaised;
  std::string reason;  // of a change: "the rate has doubled", "a new suspect", "less than 15 min to the limit"
  AlertInput now;
};

// One object a process image.
class AlertState {
 public:
  // Feeds the newest verdict. Returns an alert when there is something new to say: a leak is raised once, when its
  // confidence is at least 0.9 and the process was watched for two minutes or its limit is nearer than that; said again
  // when its rate has doubled, a site has joined or the time to the limit has passed below 1 h, 15 min or 5 min, and
  // cleared after three verdicts in a row without it.
  std::optional<Alert> Update(const AlertInput& input);
  bool raised() const { return raised_; }

 private:
  std::string WhatChanged(const AlertInput& input) const;
  void Remember(const AlertInput& input);

  bool raised_ = false;
  int quiet_ = 0;
  double rate_said_ = 0;
  double handles_said_ = 0;
  double limit_said_s_ = 1e300;
  std::vector<uint64_t> suspects_said_;
};

// "LEAK: NAME[PID] 2.0 MiB/min, 16 min to the cgroup limit; suspects: handle_request server.cc:42 (1.9 MiB/min), …"
std::string AlertLine(const Alert& alert);
// One JSON object, schema leakhunt/alert/1, ended by a newline: what --on-alert reads on stdin.
std::string AlertJson(const Alert& alert);

}  // namespace leakhunt::verdict
