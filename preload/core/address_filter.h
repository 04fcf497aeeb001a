// Level 0 of "is this pointer ours?": a counting filter over address granules, in front of the live table.
//
// free() looks here first. One byte a granule of 256 bytes, order-preserving (neighbouring blocks share cache lines),
// folded onto 2^18 bytes of zero-initialised memory, touched as used. A zero byte proves that no recorded block starts
// in any granule folded there. Counts saturate and then stay: only more false hits.
#pragma once

#include <cstdint>

#include "preload/sys/atomic.h"

namespace leakhunt::core {

class AddressFilter {
 public:
  static constexpr uint32_t kGranuleShift = 8;
  static constexpr uint64_t kBytes = 1u << 18;

  bool MayHold(uint64_t address) const { return sys::LoadRelaxed(&counts_[Index(address)]) != 0; }

  void Add(uint64_t address) {
    uint8_t* count = &counts_[Index(address)];
    uint8_t seen;
    do seen = sys::LoadRelaxed(count);
    while (seen != kSaturated && !sys::CompareExchange(count, seen, static_cast<uint8_t>(seen + 1)));
  }

  void Remove(uint64_t address) {
    uint8_t* count = &counts_[Index(address)];
    uint8_t seen;
    do seen = sys::LoadRelaxed(count);
    while (seen != kSaturated && seen != 0 && !sys::CompareExchange(count, seen, static_cast<uint8_t>(seen - 1)));
  }

  // For good: every address may be held. Where every block is recorded the filter tells nothing, and saturated counts
  // are not written any more: two locked instructions less a block.
  void Saturate() { __builtin_memset(counts_, kSaturated, kBytes); }

 private:
  static constexpr uint8_t kSaturated = 255;
  static uint64_t Index(uint64_t address) { return (address >> kGranuleShift) & (kBytes - 1); }

  uint8_t counts_[kBytes] = {};
};

}  // namespace leakhunt::core
