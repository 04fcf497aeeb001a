// Poisson sampling over allocated bytes.
//
// Model. Sample points fall on the stream of allocated bytes as a Poisson process of rate 1/T. A block of s bytes is
// recorded when at least one point falls inside it, so p = 1 - exp(-s/T); a block of s >= T is always recorded
// (p = 1), which removes the variance of large blocks. A recorded block stands for s/p bytes and 1/p blocks
// (Horvitz & Thompson 1952); its T is stored with it.
//
// The countdown holds the bytes up to the next point. It is never drawn longer than T: a longer draw is cut at T and
// marked as "no point at the end", from where, the process being memoryless, a new draw starts. So every block of
// s >= T ends the countdown, and the common path is one comparison and one subtraction.
//
// T = 1 is exact mode: the countdown stays 0 and every block comes here.
#pragma once

#include <cstdint>

#include "preload/protocol/layout.h"
#include "preload/sys/math.h"

namespace leakhunt::core {

// One thread's sampler; no sharing, no atomics.
class Sampler {
 public:
  void Seed(uint64_t seed) { random_ = seed; }

  // Draws anew under another mean interval (memoryless: the old countdown is dropped). 1 = exact. The interval must be
  // one that protocol::EncodeInterval expresses exactly.
  void SetInterval(uint64_t interval_bytes, uint64_t* countdown) {
    interval_ = interval_bytes;
    code_ = protocol::EncodeInterval(interval_bytes);
    Draw(countdown);
  }
  uint64_t Interval() const { return interval_; }

  // Decides about a block that ended the countdown (size >= *countdown). True: record it with IntervalCode().
  bool Decide(uint64_t size_bytes, uint64_t* countdown) {
    if (interval_ <= 1) return true;
    if (size_bytes == 0) size_bytes = 1;
    if (size_bytes >= interval_) {
      Draw(countdown);
      return true;
    }
    uint64_t left = size_bytes;
    while (left >= *countdown) {
      bool point = !cut_;
      left -= *countdown;
      Draw(countdown);
      if (point) return true;
    }
    *countdown -= left;
    return false;
  }

  uint16_t IntervalCode() const { return code_; }

  // p of a block under this interval.
  double Probability(uint64_t size_bytes) const { return Probability(size_bytes, interval_); }
  static double Probability(uint64_t size_bytes, uint64_t interval_bytes) {
    if (size_bytes == 0) size_bytes = 1;
    if (size_bytes >= interval_bytes) return 1;
    return sys::OneMinusExp(static_cast<double>(size_bytes) / static_cast<double>(interval_bytes));
  }

  // SplitMix64 (Steele, Lea & Flood 2014): passes BigCrush, one word of state, any seed is good.
  uint64_t NextRandom() {
    uint64_t z = (random_ += 0x9E37'79B9'7F4A'7C15u);
    z = (z ^ (z >> 30)) * 0xBF58'476D'1CE4'E5B9u;
    z = (z ^ (z >> 27)) * 0x94D0'49BB'1331'11EBu;
    return z ^ (z >> 31);
  }

 private:
  void Draw(uint64_t* countdown) {
    if (interval_ <= 1) {
      *countdown = 0;
      return;
    }
    double uniform = (static_cast<double>(NextRandom() >> 11) + 0.5) * 0x1.0p-53;  // in (0, 1)
    double draw = -sys::Log(uniform) * static_cast<double>(interval_);
    cut_ = draw > static_cast<double>(interval_);
    // The point lies at a real position x; a block covers it iff its bytes reach ceil(x).
    *countdown = cut_ ? interval_ : static_cast<uint64_t>(draw) + 1;
  }

  uint64_t random_ = 0;
  uint64_t interval_ = 1;
  uint16_t code_ = protocol::EncodeInterval(1);
  bool cut_ = false;
};

}  // namespace leakhunt::core
