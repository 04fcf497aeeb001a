// A child process of the collector's own: the judge, the HTTP server. It dies with the collector and is reaped by it.
//
// It keeps stderr and one descriptor of the collector's and nothing else; signals are as in a fresh process, but the
// terminal's ^C, which is for the command, does not reach it.
#pragma once

#include <functional>

#include "collector/base/unique_fd.h"

namespace leakhunt {

class Companion {
 public:
  Companion() = default;
  Companion(const Companion&) = delete;
  Companion& operator=(const Companion&) = delete;
  ~Companion() { Stop(); }

  // Runs `body` in a child named `name`, where the descriptor `kept` (the caller's; -1 = none) keeps its number. False
  // when there can be no child.
  bool Start(const char* name, int kept, const std::function<void()>& body);

  // Kills and reaps it.
  void Stop();

 private:
  UniqueFd pidfd_;  // not the pid: an init reaps all its children, and the number may be another's by then
};

}  // namespace leakhunt
