// The painted map says what a search through all ranges would.
#include "symbolizer/address_map.h"

#include <gtest/gtest.h>

#include <random>

namespace leakhunt::symbolizer {
namespace {

// The definition: the deepest range around the address; of equals the larger value.
int32_t Deepest(const std::vector<AddressRange>& ranges, uint64_t address) {
  const AddressRange* best = nullptr;
  for (const AddressRange& range : ranges) {
    if (address < range.start || address >= range.end) continue;
    if (best == nullptr || range.depth > best->depth || (range.depth == best->depth && range.value > best->value)) {
      best = &range;
    }
  }
  return best == nullptr ? AddressMap::kNothing : best->value;
}

TEST(AddressMap, EmptyKnowsNothing) {
  EXPECT_EQ(AddressMap().Find(0), AddressMap::kNothing);
  EXPECT_EQ(AddressMap(std::vector<AddressRange>()).Find(UINT64_MAX), AddressMap::kNothing);
}

TEST(AddressMap, InnermostOfNestedRangesWins) {
  const AddressMap map({{10, 50, 0, 1}, {20, 40, 1, 2}, {25, 30, 2, 3}});
  const std::pair<uint64_t, int32_t> expected[] = {{9, -1}, {10, 1}, {19, 1}, {20, 2}, {24, 2},  {25, 3},
                                                   {29, 3}, {30, 2}, {39, 2}, {40, 1}, {49, 1}, {50, -1}};
  for (const auto& [address, value] : expected) EXPECT_EQ(map.Find(address), value) << address;
}

TEST(AddressMap, EmptyAndInvertedRangesAreDropped) {
  const AddressMap map({{10, 10, 0, 1}, {30, 20, 0, 2}, {5, 6, 0, 3}});
  EXPECT_EQ(map.Find(10), AddressMap::kNothing);
  EXPECT_EQ(map.Find(25), AddressMap::kNothing);
  EXPECT_EQ(map.Find(5), 3);
}

TEST(AddressMap, RangesToTheEndOfTheAddressSpace) {
  const AddressMap map({{1, UINT64_MAX, 0, 7}});
  EXPECT_EQ(map.Find(0), AddressMap::kNothing);
  EXPECT_EQ(map.Find(UINT64_MAX - 1), 7);
}

TEST(AddressMap, AnyOverlapGivesTheDeepest) {
  for (uint32_t seed = 1; seed <= 200; ++seed) {
    std::mt19937 random(seed);
    std::vector<AddressRange> ranges;
    const int count = static_cast<int>(random() % 40);
    for (int value = 0; value < count; ++value) {
      const uint64_t start = random() % 100;
      ranges.push_back({start, start + random() % 30, static_cast<uint32_t>(random() % 5), value});
    }
    const AddressMap map(ranges);
    for (uint64_t address = 0; address < 140; ++address) {
      ASSERT_EQ(map.Find(address), Deepest(ranges, address)) << "seed " << seed << " address " << address;
    }
  }
}

}  // namespace
}  // namespace leakhunt::symbolizer
