#include "tests/bench/verdicts/recorder.h"

#include <algorithm>
#include <cmath>

namespace leakhunt::corpus {

namespace {
constexpr uint32_t kGone = 0xFFFF'FFFF;
constexpr double kTickS = 0.01;
constexpr double kMostCohorts = 64;
}  // namespace

uint64_t Random::Next() {
  uint64_t z = (state_ += 0x9E3779B97F4A7C15ull);
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
  return z ^ (z >> 31);
}
double Random::Uniform() { return static_cast<double>(Next() >> 11) * 0x1.0p-53; }
double Random::Between(double low, double high) { return low + (high - low) * Uniform(); }
double Random::LogBetween(double low, double high) { return low * std::pow(high / low, Uniform()); }
double Random::Exponential(double mean) { return -mean * std::log(1 - Uniform()); }
double Random::Normal() { return std::sqrt(-2 * std::log(1 - Uniform())) * std::cos(2 * M_PI * Uniform()); }
double Random::LogNormal(double median, double sigma) { return median * std::exp(sigma * Normal()); }
uint64_t Random::Below(uint64_t limit) { return static_cast<uint64_t>(Uniform() * static_cast<double>(limit)); }

Recorder::Recorder(Random& random, double sample_bytes, bool handles)
    : random_(random), sample_bytes_(handles ? 1 : sample_bytes), handles_(handles) {}

void Recorder::Account(const Entry& entry, double sign) {
  live_bytes_ += sign * entry.bytes;
  live_count_ += sign * entry.count;
  variance_ += sign * entry.variance;
}

Recorder::Block Recorder::Born(double time_s, double size_bytes) {
  double p = 1;
  if (sample_bytes_ > 1 && size_bytes < sample_bytes_) p = 1 - std::exp(-size_bytes / sample_bytes_);
  Entry entry{time_s, size_bytes / p, 1 / p, (1 - p) * size_bytes * size_bytes / (p * p), kGone, p >= 1 || random_.Chance(p)};
  auto id = static_cast<Block>(entries_.size());
  if (entry.sampled) {
    entry.position = static_cast<uint32_t>(live_.size());
    live_.push_back(id);
    Account(entry, 1);
    born_count_ += entry.count;
  }
  entries_.push_back(entry);
  return id;
}

void Recorder::Died(Block block, double time_s) {
  Entry& entry = entries_[block];
  if (entry.position == kGone) return;
  Account(entry, -1);
  freed_samples_ += 1;
  double ticks = std::max(0.0, (time_s - entry.birth_s) * 100);
  int bucket = ticks < 1 ? 0 : std::min(snapshot::kLifetimeBuckets - 1, 1 + static_cast<int>(std::log2(ticks)));
  if (!handles_) ++lifetimes_[static_cast<size_t>(bucket)];
  entries_[live_.back()].position = entry.position;
  live_[entry.position] = live_.back();
  live_.pop_back();
  entry.position = kGone;
}

void Recorder::Resized(Block block, double size_bytes) {
  Entry& entry = entries_[block];
  if (entry.position == kGone) return;
  Account(entry, -1);
  entry.bytes = size_bytes;
  Account(entry, 1);
}

verdict::HistoryPoint Recorder::Observe(double time_s, double activity) const {
  verdict::HistoryPoint point;
  point.time_ms = ToMs(time_s);
  point.activity = activity;
  point.live = handles_ ? live_count_ : std::max(0.0, live_bytes_);
  point.variance = handles_ ? 0 : std::max(0.0, variance_);
  point.live_count = live_count_;
  point.born_count = born_count_;
  point.freed_samples = freed_samples_;
  point.lifetimes = lifetimes_;
  return point;
}

// The ledger's edges: 2^k ticks wide from the start on, k the smallest for which 64 suffice.
std::vector<snapshot::Cohort> Recorder::Cohorts(double time_s) const {
  double width = kTickS;
  while (time_s / width >= kMostCohorts) width *= 2;
  auto bins = static_cast<size_t>(time_s / width) + 1;
  std::vector<snapshot::Cohort> all(bins), filled;
  for (Block block : live_) {
    const Entry& entry = entries_[block];
    auto& cohort = all[std::min(bins - 1, static_cast<size_t>(entry.birth_s / width))];
    ++cohort.samples;
    cohort.live_bytes += entry.bytes;
    cohort.live_count += entry.count;
  }
  for (size_t b = 0; b < bins; ++b) {
    if (all[b].samples == 0) continue;
    all[b].from_ms = ToMs(static_cast<double>(b) * width);
    all[b].to_ms = ToMs(static_cast<double>(b + 1) * width);
    filled.push_back(all[b]);
  }
  return filled;
}

}  // namespace leakhunt::corpus
