// A site's blocks as the ledger would record them: sampled or exact, with cohorts, lifetimes and cumulative births.
// Driven by the simulator in simulated seconds since the start of the process; one thread; deterministic.
#pragma once

#include <cstdint>
#include <functional>
#include <queue>
#include <vector>

#include "collector/verdict/verdict.h"

namespace leakhunt::corpus {

// SplitMix64, with distributions of our own: the same numbers on every C++ library.
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}
  uint64_t Next();
  double Uniform();                          // [0, 1)
  double Between(double low, double high);
  double LogBetween(double low, double high);
  double Exponential(double mean);
  double Normal();
  double LogNormal(double median, double sigma);
  uint64_t Below(uint64_t limit);
  bool Chance(double probability) { return Uniform() < probability; }

 private:
  uint64_t state_;
};

class Recorder {
 public:
  // sample_bytes: mean sampling interval; 1 = exact. handles: open handles, which have no lifetimes.
  Recorder(Random& random, double sample_bytes, bool handles);

  using Block = uint32_t;
  Block Born(double time_s, double size_bytes);
  void Died(Block block, double time_s);
  void Resized(Block block, double size_bytes);

  verdict::HistoryPoint Observe(double time_s, double activity) const;
  std::vector<snapshot::Cohort> Cohorts(double time_s) const;
  bool exact() const { return sample_bytes_ <= 1; }
  bool handles() const { return handles_; }

 private:
  struct Entry {
    double birth_s, bytes, count, variance;
    uint32_t position;  // in live_, kGone when dead or never sampled
    bool sampled;
  };
  void Account(const Entry& entry, double sign);

  Random& random_;
  double sample_bytes_;
  bool handles_;
  std::vector<Entry> entries_;
  std::vector<Block> live_;  // sampled and alive
  double live_bytes_ = 0, live_count_ = 0, variance_ = 0, born_count_ = 0, freed_samples_ = 0;
  std::array<uint64_t, snapshot::kLifetimeBuckets> lifetimes_{};
};

inline constexpr int64_t kStartMs = 1'700'000'000'000;
inline int64_t ToMs(double time_s) { return kStartMs + static_cast<int64_t>(time_s * 1000); }

}  // namespace leakhunt::corpus
