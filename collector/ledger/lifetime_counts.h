// Deaths by lifetime of one stack. Most stacks know two or three of the sixteen buckets: only those take room.
#pragma once

#include <array>
#include <cstdint>
#include <memory>

#include "collector/snapshot/model.h"

namespace leakhunt::ledger {

class LifetimeCounts {
 public:
  using Buckets = std::array<uint64_t, snapshot::kLifetimeBuckets>;

  void Add(const Buckets& deaths);
  Buckets All() const;

 private:
  uint32_t occupied_ = 0;               // bit b: bucket b has a count
  std::unique_ptr<uint64_t[]> counts_;  // of those, in order
};

}  // namespace leakhunt::ledger
