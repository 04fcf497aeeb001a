// The guest's lock: a holder that does not run is waited for, one that is gone is not waited for again and again; and a
// compare-and-exchange without the bus lock does what the locked one does.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <thread>

#include "preload/sys/atomic.h"
#include "preload/sys/spinlock.h"

namespace leakhunt::sys {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

TEST(SpinLock, AHolderThatDoesNotRunForAWhileIsWaitedFor) {
  SpinLock lock;
  std::atomic<bool> held = false;
  std::thread holder([&] {
    ASSERT_TRUE(lock.Acquire(1));
    held = true;
    std::this_thread::sleep_for(milliseconds(8));  // as long as a preempted thread may have to wait for its turn
    lock.Release();
  });
  while (!held) std::this_thread::yield();
  EXPECT_TRUE(lock.AcquirePatiently(1));
  lock.Release();
  holder.join();
}

TEST(SpinLock, AHolderThatIsGoneIsWaitedForOnce) {
  SpinLock lock;
  ASSERT_TRUE(lock.Acquire(1));
  auto start = Clock::now();
  EXPECT_FALSE(lock.AcquirePatiently(1));
  EXPECT_LT(Clock::now() - start, milliseconds(2000));
  auto least = Clock::duration::max();  // of several, for the machine has other work
  for (int i = 0; i < 20; ++i) {
    start = Clock::now();
    EXPECT_FALSE(lock.AcquirePatiently(1));
    least = std::min(least, Clock::now() - start);
  }
  EXPECT_LT(least, milliseconds(10)) << "each waits as the first did";
  lock.Release();  // it was not gone after all
  ASSERT_TRUE(lock.Acquire(1));
  std::thread([&] {
    start = Clock::now();
    EXPECT_FALSE(lock.AcquirePatiently(1));
    EXPECT_GE(Clock::now() - start, milliseconds(10));
  }).join();
}

TEST(SpinLock, AHolderOfAnotherGenerationIsNone) {
  SpinLock lock;
  ASSERT_TRUE(lock.Acquire(1));
  EXPECT_TRUE(lock.TryAcquire(2));
}

template <typename T>
void ExchangesWhenEqual() {
  T word = 5;
  EXPECT_FALSE(CompareExchangePrivate<T>(&word, 4, 9));
  EXPECT_EQ(word, T{5});
  EXPECT_TRUE(CompareExchangePrivate<T>(&word, 5, static_cast<T>(~T{0} - 3)));
  EXPECT_EQ(word, static_cast<T>(~T{0} - 3));
}

void ReturnsWhatWasThere() {
  uint64_t word = 7;
  EXPECT_EQ(ExchangePrivate<uint64_t>(&word, 0), 7u);
  EXPECT_EQ(AddPrivate<uint64_t>(&word, 3), 0u);
  EXPECT_EQ(AddPrivate<uint64_t>(&word, ~uint64_t{0}), 3u);
  EXPECT_EQ(word, 2u);
}

TEST(CompareExchangePrivate, IsTheSameWithOneThreadAndWithSeveral) {
  constexpr char kSeveral = 0, kOne = 1;
  const char* const before = g_single_threaded;
  for (const char* word : {&kSeveral, &kOne}) {
    g_single_threaded = word;
    EXPECT_EQ(HasOneThread(), word == &kOne);
    ExchangesWhenEqual<uint64_t>();
    ExchangesWhenEqual<uint32_t>();
    ExchangesWhenEqual<uint8_t>();
    ReturnsWhatWasThere();
  }
  g_single_threaded = before;
}

}  // namespace
}  // namespace leakhunt::sys
