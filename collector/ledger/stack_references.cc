#include "collector/ledger/stack_references.h"

#include <algorithm>

namespace leakhunt::ledger {

StackReferences::StackReferences(std::vector<uint32_t> references) : sorted_(std::move(references)) {
  std::sort(sorted_.begin(), sorted_.end());
  sorted_.erase(std::unique(sorted_.begin(), sorted_.end()), sorted_.end());
  if (!sorted_.empty() && sorted_.front() == 0) sorted_.erase(sorted_.begin());
  if (sorted_.empty()) return;
  // As many ranges as references or somewhat fewer, whatever a stranger's references are.
  while (sorted_.back() >> shift_ >= sorted_.size() && shift_ < 31) ++shift_;
  first_.reserve((sorted_.back() >> shift_) + 2);
  for (uint32_t position = 0; position < sorted_.size(); ++position) {
    while (first_.size() <= sorted_[position] >> shift_) first_.push_back(position);
  }
  first_.push_back(static_cast<uint32_t>(sorted_.size()));
}

uint32_t StackReferences::Find(uint32_t reference) const {
  const uint32_t range = reference >> shift_;
  if (range + 1 >= first_.size()) return kAbsent;
  const auto begin = sorted_.begin() + first_[range], end = sorted_.begin() + first_[range + 1];
  const auto found = std::lower_bound(begin, end, reference);
  return found == end || *found != reference ? kAbsent : static_cast<uint32_t>(found - sorted_.begin());
}

}  // namespace leakhunt::ledger
