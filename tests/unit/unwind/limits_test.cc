// Stack limits: every kind of stack is found, and nothing else is taken for one.
#include <gtest/gtest.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <ucontext.h>

#include <thread>
#include <vector>

#include "preload/unwind/memory_maps.h"
#include "preload/unwind/unwinder.h"

namespace leakhunt::unwind {
namespace {

uint64_t Here() { return reinterpret_cast<uint64_t>(__builtin_frame_address(0)); }

TEST(StackLimits, MainStackMayGrow) {
  StackLimits limits{};
  ASSERT_TRUE(FindStackLimits(Here(), &limits));
  EXPECT_LE(limits.low, Here());
  EXPECT_GT(limits.high, Here());
  volatile char deep[512 * 1024];
  deep[0] = 1;
  EXPECT_LE(limits.low, reinterpret_cast<uint64_t>(&deep[0]));
}

TEST(StackLimits, ThreadStackAsThePthreadLibraryHasIt) {
  StackLimits limits{};
  void* low = nullptr;
  size_t bytes = 0;
  std::thread([&] {
    ASSERT_TRUE(FindStackLimits(Here(), &limits));
    pthread_attr_t attributes;
    pthread_getattr_np(pthread_self(), &attributes);
    pthread_attr_getstack(&attributes, &low, &bytes);
    pthread_attr_destroy(&attributes);
  }).join();
  EXPECT_EQ(limits.low, reinterpret_cast<uint64_t>(low));
  // The thread's control block is the top of the mapping, and not stack.
  EXPECT_LE(limits.high, reinterpret_cast<uint64_t>(low) + bytes);
  EXPECT_GT(limits.high, reinterpret_cast<uint64_t>(low) + bytes - 16 * 1024);
}

TEST(StackLimits, AnyWritableMappingServesACoroutine) {
  constexpr size_t kBytes = 64 * 1024;
  char* memory = static_cast<char*>(mmap(nullptr, 3 * kBytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  ASSERT_EQ(mprotect(memory + kBytes, kBytes, PROT_READ | PROT_WRITE), 0);
  StackLimits limits{};
  ASSERT_TRUE(FindStackLimits(reinterpret_cast<uint64_t>(memory + kBytes + 5000), &limits));
  EXPECT_EQ(limits.low, reinterpret_cast<uint64_t>(memory + kBytes));
  EXPECT_EQ(limits.high, reinterpret_cast<uint64_t>(memory + 2 * kBytes));
  EXPECT_FALSE(FindStackLimits(reinterpret_cast<uint64_t>(memory + 10), &limits));
  munmap(memory, 3 * kBytes);
  EXPECT_FALSE(FindStackLimits(reinterpret_cast<uint64_t>(memory + kBytes + 5000), &limits));
}

TEST(StackLimits, ReadOnlyMemoryIsNoStack) {
  StackLimits limits{};
  EXPECT_FALSE(FindStackLimits(reinterpret_cast<uint64_t>(&FindStackLimits), &limits));
  EXPECT_FALSE(FindStackLimits(0, &limits));
  EXPECT_FALSE(FindStackLimits(~uint64_t{0} - 7, &limits));
}

TEST(MemoryMaps, TheRequestAndTheTextAgree) {
  // Every mapping, unless it moves between the two looks.
  int seen = 0, agreed = 0;
  MapsReader reader;
  Mapping text;
  while (reader.Next(&text)) {
    Mapping found;
    if (text.start >= uint64_t{1} << 47) continue;  // vsyscall is no mapping of the process
    ++seen;
    if (!FindMapping(text.start + (text.end - text.start) / 2, &found)) continue;
    agreed += found.start == text.start && found.end == text.end && found.inode == text.inode &&
              found.executable == text.executable && std::string(found.path) == text.path;
  }
  EXPECT_GT(seen, 10);
  EXPECT_GE(agreed, seen - 2);
}

}  // namespace
}  // namespace leakhunt::unwind
