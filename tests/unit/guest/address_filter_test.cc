#include "preload/core/address_filter.h"

#include <gtest/gtest.h>

#include <memory>

namespace leakhunt::core {
namespace {

TEST(AddressFilter, NeverDeniesWhatWasAdded) {
  auto filter = std::make_unique<AddressFilter>();
  for (uint64_t address = 0x5000'0000; address < 0x5000'0000 + 100'000; address += 48) filter->Add(address);
  for (uint64_t address = 0x5000'0000; address < 0x5000'0000 + 100'000; address += 48) EXPECT_TRUE(filter->MayHold(address));
}

TEST(AddressFilter, IsEmptyAfterChurn) {
  auto filter = std::make_unique<AddressFilter>();
  for (int round = 0; round < 1000; ++round) {
    for (uint64_t i = 0; i < 100; ++i) filter->Add(0x7000'0000 + i * 64);
    for (uint64_t i = 0; i < 100; ++i) filter->Remove(0x7000'0000 + i * 64);
  }
  for (uint64_t i = 0; i < 100; ++i) EXPECT_FALSE(filter->MayHold(0x7000'0000 + i * 64));
}

TEST(AddressFilter, ASaturatedGranuleStaysSet) {
  auto filter = std::make_unique<AddressFilter>();
  for (int i = 0; i < 300; ++i) filter->Add(0x1234);
  for (int i = 0; i < 299; ++i) filter->Remove(0x1234);
  EXPECT_TRUE(filter->MayHold(0x1234));
}

}  // namespace
}  // namespace leakhunt::core
