#include "collector/ledger/weight.h"

#include <algorithm>
#include <cmath>

#include "preload/protocol/layout.h"
#include "preload/protocol/thinning.h"

namespace leakhunt::ledger {

namespace {

constexpr size_t kRecent = 1024;

}  // namespace

BlockWeight WeighBlock(uint64_t size_bytes, uint64_t interval_bytes) {
  BlockWeight weight;
  weight.bytes = static_cast<double>(size_bytes);
  const uint64_t drawn_bytes = std::max<uint64_t>(size_bytes, 1);
  if (drawn_bytes >= interval_bytes) return weight;  // of no interval and of 1 every block
  const double p = -std::expm1(-static_cast<double>(drawn_bytes) / static_cast<double>(interval_bytes));
  weight.probability = p;
  weight.bytes = static_cast<double>(size_bytes) / p;
  weight.count = 1 / p;
  weight.bytes_variance = (1 - p) * weight.bytes * weight.bytes;
  weight.count_variance = (1 - p) * weight.count * weight.count;
  return weight;
}

RecordWeigher::RecordWeigher(uint64_t floor_interval_bytes)
    : floor_interval_bytes_(floor_interval_bytes), recent_(kRecent) {}

void RecordWeigher::Fill(Entry* entry, uint64_t size_interval) const {
  const uint64_t size_bytes = protocol::SizeOf(size_interval);
  const uint64_t drawn = protocol::DecodeInterval(protocol::IntervalCodeOf(size_interval));
  entry->used = true;
  entry->size_interval = size_interval;
  entry->p_drawn = WeighBlock(size_bytes, drawn).probability;
  entry->weight = WeighBlock(size_bytes, std::max(drawn, floor_interval_bytes_));
}

const BlockWeight* RecordWeigher::Weigh(uint64_t slot_offset, uint64_t generation, uint64_t size_interval) {
  Entry& entry = recent_[((size_interval * 0x9E37'79B9'7F4A'7C15ull) >> 54) & (kRecent - 1)];
  if (!entry.used || entry.size_interval != size_interval) Fill(&entry, size_interval);
  const bool keep = protocol::KeepAtFloor(slot_offset, generation, entry.p_drawn, entry.weight.probability);
  return keep ? &entry.weight : nullptr;
}

}  // namespace leakhunt::ledger
