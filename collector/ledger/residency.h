// How much of an address range of the recorded process is in memory: asked by the ledger, answered by whoever reads
// what the kernel says (watch/resident_pages.h). Event loop only.
#pragma once

#include <cstdint>

namespace leakhunt::ledger {

// Bytes in memory or swap. `low` and `high` bound them where the kernel's figures cannot be parted.
struct InMemory {
  double bytes = 0, low = 0, high = 0;
};

class Residency {
 public:
  virtual ~Residency() = default;

  // Of [start, end). Address space that is not mapped holds nothing.
  virtual InMemory In(uint64_t start, uint64_t end) const = 0;

  // End of the kernel's mapping that holds `address`; 0 when none does.
  virtual uint64_t EndOfAreaAt(uint64_t address) const = 0;
};

}  // namespace leakhunt::ledger
