// A token bucket: how often a peer may ask for something dear.
#pragma once

#include <algorithm>
#include <cstdint>

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

}  // namespace leakhunt::ingest
