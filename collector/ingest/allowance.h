// A token bucket: how often a peer, or all processes of a user together, may ask for something dear.
#pragma once

#include <sys/types.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>

namespace leakhunt::ingest {

class Allowance {
 public:
  // `burst` at once, then one every `refill_ms`.
  Allowance(int burst, int64_t refill_ms) : burst_(burst), refill_ms_(refill_ms), tokens_(burst) {}

  bool Take(int64_t now_ms) {
    int64_t earned = last_ms_ == 0 || now_ms < last_ms_ ? 0 : (now_ms - last_ms_) / refill_ms_;
    if (last_ms_ == 0 || now_ms < last_ms_) last_ms_ = now_ms;
    last_ms_ += earned * refill_ms_;
    tokens_ = std::min<int64_t>(burst_, tokens_ + earned);
    if (tokens_ == 0) return false;
    --tokens_;
    return true;
  }

 private:
  int burst_;
  int64_t refill_ms_;
  int64_t tokens_;
  int64_t last_ms_ = 0;
};

// One bucket per user, for a bounded number of users.
class UserAllowances {
 public:
  UserAllowances(int burst, int64_t refill_ms) : fresh_(burst, refill_ms) {}

  bool Take(uid_t user, int64_t now_ms) {
    constexpr size_t kMostUsers = 4096;  // a user may own 65,536 numbers; forgetting them all costs one burst each
    if (users_.size() >= kMostUsers && users_.count(user) == 0) users_.clear();
    return users_.try_emplace(user, fresh_).first->second.Take(now_ms);
  }

 private:
  Allowance fresh_;
  std::map<uid_t, Allowance> users_;
};

}  // namespace leakhunt::ingest
