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
  for (size_t b = 0; b < all.size(); ++b) {
    if ((occupied >> b & 1) != 0) counts_[at++] = all[b];
  }
}

LifetimeCounts::Buckets LifetimeCounts::All() const {
  Buckets all{};
  size_t at = 0;
  for (size_t b = 0; b < all.size(); ++b) {
    if ((occupied_ >> b & 1) != 0) all[b] = counts_[at++];
  }
  return all;
}

}  // namespace leakhunt::ledger
