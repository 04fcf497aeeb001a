// A flat map from address to the innermost of nested address ranges.
//
// Debug information describes code as a tree of ranges (function, inlined call in it, inlined call in that). Walking
// the tree for each address is what makes libdw's own lookups quadratic; this paints the tree once onto a line:
//
//   depth 0  |------------- f -------------|        map:  f | g | h | g | f | (nothing)
//   depth 1        |------ g ------|
//   depth 2           |-- h --|
//
// Ranges that overlap without nesting (damage, or identical code folded) are painted all the same: deeper wins.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace leakhunt::symbolizer {

struct AddressRange {
  uint64_t start = 0, end = 0;  // [start, end)
  uint32_t depth = 0;
  int32_t value = -1;
};

class AddressMap {
 public:
  static constexpr int32_t kNothing = -1;

  AddressMap() = default;
  explicit AddressMap(std::vector<AddressRange> ranges);

  // Value of the deepest range that contains `address` (of equals: the larger value), else kNothing. O(log n).
  int32_t Find(uint64_t address) const;
  size_t size() const { return segments_.size(); }

 private:
  struct Segment {
    uint64_t start;
    int32_t value;
  };
  std::vector<Segment> segments_;  // sorted; each reaches to the next
};

}  // namespace leakhunt::symbolizer
