#include "preload/core/ref_table.h"

#include <gtest/gtest.h>

namespace leakhunt::core {
namespace {

constexpr auto kAny = [](uint32_t) { return true; };

TEST(RefTable, FindsWhatWasInsertedThroughGrowth) {
  RefTable table;
  ASSERT_TRUE(table.Create(1, 8));
  for (uint32_t i = 1; i <= 1000; ++i) table.Insert(uint64_t{i} << 32, i);
  for (uint32_t i = 1; i <= 1000; ++i) EXPECT_EQ(table.Find(uint64_t{i} << 32, kAny), i);
  EXPECT_EQ(table.Find(uint64_t{1001} << 32, kAny), 0u);
}

TEST(RefTable, ThatGotNoMemoryHoldsNothing) {
  RefTable table;
  table.Insert(uint64_t{1} << 32, 1);
  EXPECT_EQ(table.Find(uint64_t{1} << 32, kAny), 0u);
}

}  // namespace
}  // namespace leakhunt::core
