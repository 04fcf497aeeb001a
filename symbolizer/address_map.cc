// Painting nested ranges; see address_map.h.
#include "symbolizer/address_map.h"

#include <algorithm>
#include <queue>

namespace leakhunt::symbolizer {
namespace {

std::vector<uint64_t> Boundaries(const std::vector<AddressRange>& ranges) {
  std::vector<uint64_t> boundaries;
  boundaries.reserve(ranges.size() * 2);
  for (const AddressRange& range : ranges) {
    boundaries.push_back(range.start);
    boundaries.push_back(range.end);
  }
  std::sort(boundaries.begin(), boundaries.end());
  boundaries.erase(std::unique(boundaries.begin(), boundaries.end()), boundaries.end());
  return boundaries;
}

bool Shallower(const AddressRange& left, const AddressRange& right) {
  return left.depth != right.depth ? left.depth < right.depth : left.value < right.value;
}

}  // namespace

AddressMap::AddressMap(std::vector<AddressRange> ranges) {
  std::erase_if(ranges, [](const AddressRange& range) { return range.start >= range.end; });
  std::sort(ranges.begin(), ranges.end(),
            [](const AddressRange& left, const AddressRange& right) { return left.start < right.start; });
  std::priority_queue<AddressRange, std::vector<AddressRange>, decltype(&Shallower)> open(&Shallower);
  size_t next = 0;
  for (uint64_t at : Boundaries(ranges)) {
    while (next < ranges.size() && ranges[next].start == at) open.push(ranges[next++]);
    while (!open.empty() && open.top().end <= at) open.pop();
    const int32_t value = open.empty() ? kNothing : open.top().value;
    if (segments_.empty() || segments_.back().value != value) segments_.push_back(Segment{at, value});
  }
  segments_.shrink_to_fit();
}

int32_t AddressMap::Find(uint64_t address) const {
  auto after = std::upper_bound(segments_.begin(), segments_.end(), address,
                                [](uint64_t value, const Segment& segment) { return value < segment.start; });
  return after == segments_.begin() ? kNothing : std::prev(after)->value;
}

}  // namespace leakhunt::symbolizer
