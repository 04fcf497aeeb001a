// The judge: a child process of the collector that decides whether a recording shows a leak, and says so.
//
// A process of its own because verdicts read many snapshots: its memory is given back, its time does not delay the
// collector's loop, and what a hostile recording does to it harms nobody. It is told directories over a pipe, paces
// itself by its own cost, writes alert lines on stderr and runs the hook. Started when the first recording has enough
// snapshots; it dies with the collector.
#pragma once

#include <filesystem>
#include <string>

#include "collector/base/unique_fd.h"
#include "collector/companion.h"

namespace leakhunt::alert {

class Judge {
 public:
  // `hook`: a shell command that gets each alert as JSON on stdin; empty = none.
  explicit Judge(std::string hook) : hook_(std::move(hook)) {}

  // A snapshot was written. Never blocks; a busy judge looks at the newest state when it comes to it.
  void Look(const std::filesystem::path& recording, uint32_t number);

  // Snapshots a recording needs before it is worth a look.
  static constexpr uint32_t kFirstLook = 6;

 private:
  bool Start();

  std::string hook_;
  UniqueFd requests_;
  Companion companion_;
  int starts_ = 0;
};

}  // namespace leakhunt::alert
