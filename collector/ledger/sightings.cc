#include "collector/ledger/sightings.h"

#include <algorithm>

namespace leakhunt::ledger {

namespace {

constexpr uint32_t kMaxSites = 1u << 20;

}  // namespace

Sightings::Span& Sightings::Of(uint64_t identity) {
  const bool full = index_.size() >= kMaxSites;
  const uint32_t number = full ? index_.Find(identity) : index_.FindOrAdd(identity);
  if (number == KeyIndex::kAbsent) return overflow_ = Span{};
  if (number == spans_.size()) spans_.emplace_back();
  return spans_[number];
}

void Sightings::Update(uint64_t births, int64_t first_ms, int64_t last_ms, int64_t now_ms, Span* span) const {
  if (births > span->births) {
    if (first_ms == 0) first_ms = previous_ms_;
    if (last_ms < previous_ms_) last_ms = std::max(previous_ms_, now_ms);
    span->births = births;
  }
  if (first_ms != 0) span->first_ms = span->first_ms == 0 ? first_ms : std::min(span->first_ms, first_ms);
  span->last_ms = std::max(span->last_ms, last_ms);
}

void Sightings::BeginCapture(int64_t started_ms) { previous_ms_ = std::max(previous_ms_, started_ms); }

}  // namespace leakhunt::ledger
