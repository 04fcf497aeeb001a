// The stack references of one capture, in rising order: which of them a given one is.
//
// References are file offsets, so their order says more about where one stands than a hash would, and neighbours that
// are asked for one after another stand in the same cache line.
#pragma once

#include <cstdint>
#include <vector>

namespace leakhunt::ledger {

class StackReferences {
 public:
  static constexpr uint32_t kAbsent = 0xFFFF'FFFF;

  StackReferences() = default;
  // Any order, repeats welcome. 0, the unknown stack, is left out.
  explicit StackReferences(std::vector<uint32_t> references);

  const std::vector<uint32_t>& Sorted() const { return sorted_; }

  // Position of `reference` in Sorted(), or kAbsent.
  uint32_t Find(uint32_t reference) const;

 private:
  std::vector<uint32_t> sorted_;
  uint32_t shift_ = 0;
  std::vector<uint32_t> first_;  // by the reference's upper bits: position of the first one that has them or higher ones
};

}  // namespace leakhunt::ledger
