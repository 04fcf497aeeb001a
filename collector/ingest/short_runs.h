// Which of a program's many short runs are kept.
//
// A build starts a compiler thousands of times, and one user can start anything as often. The first runs of a program are
// kept whole; of later ones those that hold a quarter more at their end than any run before, so that a leak in a short
// program stays visible. What is not kept is counted and said. A run that was seen running, that a signal ended, or that
// began the recording is not asked about. Pure counting.
#pragma once

#include <sys/types.h>

#include <algorithm>
#include <cstdint>
#include <map>
#include <string>
#include <utility>

#include "collector/ingest/user_shares.h"

namespace leakhunt::ingest {

class ShortRuns {
 public:
  static constexpr uint64_t kKeptOfFavoured = 256, kKeptOfStranger = 32;

  bool Keep(uid_t user, const std::string& program, double live_bytes, uint64_t open_handles) {
    constexpr size_t kMostPrograms = 16'384;
    if (programs_.size() >= kMostPrograms) programs_.clear();
    Program& of = programs_[{user, program}];
    const bool more = live_bytes > of.most_live_bytes * 1.25 || open_handles > of.most_handles + of.most_handles / 4;
    of.most_live_bytes = std::max(of.most_live_bytes, live_bytes);
    of.most_handles = std::max(of.most_handles, open_handles);
    if (of.kept < (IsFavoured(user) ? kKeptOfFavoured : kKeptOfStranger) || more) return ++of.kept, true;
    ++folded_;
    return false;
  }

  uint64_t Folded() const { return folded_; }

 private:
  struct Program {
    uint64_t kept = 0;
    double most_live_bytes = 0;
    uint64_t most_handles = 0;
  };

  std::map<std::pair<uid_t, std::string>, Program> programs_;
  uint64_t folded_ = 0;
};

}  // namespace leakhunt::ingest
