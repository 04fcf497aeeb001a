#include "collector/ledger/lifetime_counts.h"

#include <bit>

namespace leakhunt::ledger {

void LifetimeCounts::Add(const Buckets& deaths) {
  Buckets all = All();
  uint32_t occupied = occupied_;
  for (size_t b = 0; b < all.size(); ++b) {
    all[b] += deaths[b];
    if (all[b] != 0) occupied |= 1u << b;
  }
  if (occupied != occupied_) counts_ = std::make_unique<uint64_t[]>(static_cast<size_t>(std::popcount(occupied)));
  occupied_ = occupied;
  size_t at = 0;
  for (uint32_t left = occupied; left != 0; left &= left - 1) {
    counts_[at++] = all[static_cast<size_t>(std::countr_zero(left))];
  }
}

LifetimeCounts::Buckets LifetimeCounts::All() const {
  Buckets all{};
  size_t at = 0;
  for (uint32_t left = occupied_; left != 0; left &= left - 1) {
    all[static_cast<size_t>(std::countr_zero(left))] = counts_[at++];
  }
  return all;
}

}  // namespace leakhunt::ledger
