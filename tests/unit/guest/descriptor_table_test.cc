// The descriptor table: numbers far apart, entries packed and unpacked, exchange by many threads.
#include "preload/core/descriptor_table.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

namespace leakhunt::core {
namespace {

using protocol::HandleSlot;
using protocol::HandleType;

HandleSlot* AddressOfSlot(uint64_t address) { return reinterpret_cast<HandleSlot*>(address); }

TEST(DescriptorEntry, KeepsWhatWasPacked) {
  const uint64_t highest = (uint64_t{1} << 48) - sizeof(HandleSlot);
  for (uint64_t address : {uint64_t{0x1000}, uint64_t{0x7FFF'FFFF'F000}, highest}) {
    for (auto type : {HandleType::kOther, HandleType::kDevice}) {
      for (bool inherited : {false, true}) {
        DescriptorEntry entry = PackEntry(AddressOfSlot(address), 0x1'FFFE, type, inherited);
        EXPECT_EQ(entry.Slot(), AddressOfSlot(address));
        EXPECT_EQ(entry.Generation(), 0xFFFE);
        EXPECT_EQ(entry.Type(), type);
        EXPECT_EQ(entry.Inherited(), inherited);
      }
    }
  }
}

TEST(DescriptorTable, RefusesNumbersThatAreNone) {
  EXPECT_EQ(EnsureDescriptor(-1), nullptr);
  EXPECT_EQ(FindDescriptor(-1), nullptr);
  EXPECT_EQ(EnsureDescriptor(1 << 30), nullptr);
  EXPECT_FALSE(TakeDescriptor(-7));
}

TEST(DescriptorTable, FindsNumbersInOrderHoweverFarApart) {
  const std::vector<int> numbers = {0, 3, 1023, 1024, 70'000, 1'048'575, 1'048'576, 999'999'999};
  for (int fd : numbers) {
    uint64_t* word = EnsureDescriptor(fd);
    ASSERT_NE(word, nullptr) << fd;
    ExchangeDescriptor(word, PackEntry(AddressOfSlot(0x10000), 1, HandleType::kFile, false));
  }
  std::vector<int> found;
  for (int fd = NextDescriptor(0, 0x7FFF'FFFE); fd >= 0; fd = NextDescriptor(fd + 1, 0x7FFF'FFFE)) found.push_back(fd);
  EXPECT_EQ(found, numbers);
  EXPECT_EQ(NextDescriptor(4, 1022), -1);
  EXPECT_EQ(NextDescriptor(4, 1023), 1023);
  for (int fd : numbers) EXPECT_TRUE(TakeDescriptor(fd)) << fd;
  for (int fd : numbers) EXPECT_FALSE(TakeDescriptor(fd)) << fd;
  EXPECT_EQ(NextDescriptor(0, 0x7FFF'FFFE), -1);
}

TEST(DescriptorTable, GivesEachEntryToOneTaker) {
  constexpr int kThreads = 4, kEach = 100'000, kFd = 5000;
  std::atomic<uint64_t> taken{0}, replaced{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < kEach; ++i) {
        uint64_t* word = EnsureDescriptor(kFd);
        if (ExchangeDescriptor(word, PackEntry(AddressOfSlot(0x20000), 1, HandleType::kFile, false))) ++replaced;
        if (TakeDescriptor(kFd)) ++taken;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(taken + replaced, uint64_t{kThreads} * kEach);  // every entry put in came out once
}

}  // namespace
}  // namespace leakhunt::core
