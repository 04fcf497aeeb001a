#include "preload/core/live_blocks.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <fstream>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

namespace leakhunt::core {
namespace {

std::unique_ptr<LiveTable> Fresh() {
  auto table = std::make_unique<LiveTable>();
  EXPECT_TRUE(table->Create(1));
  return table;
}

bool Insert(LiveTable* table, uint64_t address, uint32_t slot) {
  LiveTable::Entry entry = table->Reserve(table->PlaceOf(address));
  if (!entry) return false;
  *entry.payload = Payload{slot, 1, 2, 3, 4, 1};
  LiveTable::Publish(entry, address);
  return true;
}

TEST(LiveTable, AgreesWithAMapOverAMillionOperations) {
  auto table = Fresh();
  std::unordered_map<uint64_t, uint32_t> truth;
  std::vector<uint64_t> addresses;
  std::mt19937_64 random(17);
  for (uint32_t i = 0; i < 1'000'000; ++i) {
    if (addresses.empty() || random() % 5 < 3) {
      uint64_t address = 0x5555'0000'0000 + (random() % (1u << 24)) * 16;
      if (truth.contains(address)) continue;
      ASSERT_TRUE(Insert(table.get(), address, i));
      truth[address] = i;
      addresses.push_back(address);
    } else {
      size_t at = random() % addresses.size();
      LiveTable::Entry entry = table->Claim(addresses[at]);
      ASSERT_TRUE(entry);
      EXPECT_EQ(entry.payload->slot, truth[addresses[at]]);
      LiveTable::Release(entry);
      EXPECT_FALSE(table->Claim(addresses[at]));
      truth.erase(addresses[at]);
      addresses[at] = addresses.back();
      addresses.pop_back();
    }
  }
  size_t seen = 0;
  table->ForEach([&](uint64_t address, const Payload& payload) {
    ++seen;
    EXPECT_EQ(truth.at(address), payload.slot);
  });
  EXPECT_EQ(seen, truth.size());
}

TEST(LiveTable, AClaimedEntryIsInvisibleUntilPublishedAgain) {
  auto table = Fresh();
  ASSERT_TRUE(Insert(table.get(), 0x1000, 7));
  LiveTable::Entry entry = table->Claim(0x1000);
  ASSERT_TRUE(entry);
  EXPECT_FALSE(table->Claim(0x1000));
  EXPECT_FALSE(table->MayContain(0x1000));
  LiveTable::Publish(entry, 0x1000);
  EXPECT_TRUE(table->MayContain(0x1000));
  EXPECT_TRUE(table->Claim(0x1000));
}

TEST(LiveTable, ChurnDoesNotWearItOut) {
  auto table = Fresh();
  for (uint32_t i = 0; i < 3'000'000; ++i) {
    uint64_t address = 0x7000'0000 + (i % 977) * 64 * 131;
    ASSERT_TRUE(Insert(table.get(), address, i));
    LiveTable::Entry entry = table->Claim(address);
    ASSERT_TRUE(entry);
    LiveTable::Release(entry);
  }
  EXPECT_LT(table->Size(), 100u);
}

// Each thread inserts a range of addresses; a neighbour frees what is left, as programs do. Growth and migration run
// underneath all the time. A refused insert is a counted loss, rare even when the machine is overcommitted; anything
// inserted is found.
TEST(LiveTable, FourThreadsLoseNothingWhileItGrows) {
  auto table = Fresh();
  constexpr int kThreads = 4;
  constexpr uint64_t kBlocks = 200'000;
  std::atomic<uint64_t> missing{0}, refused{0}, ghosts{0};
  std::vector<std::vector<bool>> inside(kThreads, std::vector<bool>(kBlocks));
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      uint64_t base = 0x1'0000'0000ull * static_cast<uint64_t>(t + 1);
      for (uint64_t i = 0; i < kBlocks; ++i) {
        inside[t][i] = Insert(table.get(), base + i * 16, static_cast<uint32_t>(i));
        if (!inside[t][i]) ++refused;
        if (i % 3 != 0 || !inside[t][i]) continue;
        LiveTable::Entry entry = table->Claim(base + i * 16);
        if (!entry || entry.payload->slot != static_cast<uint32_t>(i)) ++missing;
        if (entry) LiveTable::Release(entry);
        inside[t][i] = false;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  threads.clear();
  EXPECT_EQ(missing, 0u);
  EXPECT_LT(refused, kThreads * kBlocks / 100);
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      int other = (t + 1) % kThreads;
      uint64_t base = 0x1'0000'0000ull * static_cast<uint64_t>(other + 1);
      for (uint64_t i = 0; i < kBlocks; ++i) {
        LiveTable::Entry entry = table->Claim(base + i * 16);
        if (!entry && inside[other][i]) ++missing;
        if (entry && !inside[other][i]) ++ghosts;
        if (entry) LiveTable::Release(entry);
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(missing, 0u);
  EXPECT_EQ(ghosts, 0u);
}

// In a forked child of a program whose other thread is moving entries to a larger table: all that was published is there,
// once; what was being published or moved may be either.
bool WholeAfterFork(LiveTable* table, uint64_t published) {
  table->AfterFork(2);
  uint64_t seen = 0;
  table->ForEach([&](uint64_t, const Payload&) { ++seen; });
  return seen == published || seen == published + 1;
}

TEST(LiveTable, AForkWhileEntriesMoveLosesAndDoublesNone) {
  constexpr int kForks = 120;
  constexpr uint64_t kEach = 20'000;  // grows some times, from the least table
  for (int done = 0; done < kForks;) {
    auto table = Fresh();
    std::atomic<uint64_t> published{0};
    std::atomic<bool> refused{false};
    std::thread grower([&] {
      for (uint64_t i = 0; i < kEach && !refused; ++i) {
        refused = !Insert(table.get(), 0x1'0000'0000ull + i * 16, static_cast<uint32_t>(i));
        if (!refused) published.store(i + 1, std::memory_order_release);
      }
    });
    while (published < kEach && !refused && done < kForks) {
      const pid_t child = fork();
      if (child == 0) _exit(WholeAfterFork(table.get(), published) ? 0 : 1);
      int status = 0;
      waitpid(child, &status, 0);
      EXPECT_EQ(status, 0) << "fork " << done;
      ++done;
    }
    grower.join();
    ASSERT_FALSE(refused);
  }
}

uint64_t ResidentBytes() {
  uint64_t pages = 0;
  std::ifstream statm("/proc/self/statm");
  statm >> pages >> pages;
  return pages * 4096;
}

TEST(LiveTable, TablesThatWereOutgrownAreGivenBack) {
  constexpr uint64_t kBlocks = 500'000;
  auto table = Fresh();
  const uint64_t before = ResidentBytes();
  for (uint64_t i = 0; i < kBlocks; ++i) ASSERT_TRUE(Insert(table.get(), 0x1'0000'0000ull + i * 16, 1));
  const double bytes_per_block = static_cast<double>(ResidentBytes() - before) / kBlocks;
  EXPECT_LT(bytes_per_block, 64);
  RecordProperty("bytes_per_block", std::to_string(bytes_per_block));
}

TEST(LiveTable, APlaceOutlivesTheTableItWasTakenFrom) {
  auto table = Fresh();
  constexpr uint64_t kBase = 0x7F00'0000'0000;
  ASSERT_TRUE(Insert(table.get(), kBase, 7));
  const LiveTable::Place present = table->PlaceOf(kBase), absent = table->PlaceOf(kBase - 64);
  for (uint64_t i = 1; i < 20'000; ++i) ASSERT_TRUE(Insert(table.get(), kBase + i * 48, 0));  // grows several times
  LiveTable::Entry entry = table->Claim(present);
  ASSERT_TRUE(entry);
  EXPECT_EQ(entry.payload->slot, 7u);
  LiveTable::Release(entry);
  EXPECT_FALSE(table->Claim(absent));
  entry = table->Reserve(absent);
  ASSERT_TRUE(entry);
  *entry.payload = Payload{9, 1, 2, 3, 4, 1};
  LiveTable::Publish(entry, kBase - 64);
  EXPECT_EQ(table->Claim(kBase - 64).payload->slot, 9u);
}

TEST(LiveBlocks, EveryRegionIsServed) {
  auto blocks = std::make_unique<LiveBlocks>();
  ASSERT_TRUE(blocks->Create(1));
  constexpr uint64_t kRegions = 1000, kRegion = 64 << 20;
  std::set<LiveTable*> tables;
  for (uint64_t i = 1; i <= kRegions; ++i) {
    tables.insert(&blocks->Of(i * kRegion));
    ASSERT_TRUE(Insert(&blocks->Of(i * kRegion), i * kRegion, static_cast<uint32_t>(i)));
  }
  EXPECT_EQ(tables.size(), 8u);
  uint64_t seen = 0;
  blocks->ForEach([&](uint64_t address, const Payload& payload) { seen += address == payload.slot * kRegion; });
  EXPECT_EQ(seen, kRegions);
  for (uint64_t i = 1; i <= kRegions; ++i) EXPECT_TRUE(blocks->Of(i * kRegion).Claim(i * kRegion));
}

}  // namespace
}  // namespace leakhunt::core
