#include "preload/sys/own_stack.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <thread>
#include <vector>

#include "preload/sys/syscall.h"

namespace leakhunt::sys {
namespace {

uint64_t Here() { return reinterpret_cast<uint64_t>(__builtin_frame_address(0)); }
bool Near(uint64_t a, uint64_t b) { return a - b + kOwnStackBytes < 2 * kOwnStackBytes; }

uint64_t g_handler_at = 0;
void NoteWhere(int) { g_handler_at = Here(); }

struct Gated : testing::Test {
  void SetUp() override { g_gate = {1, getpid()}; }
  void TearDown() override { g_gate = {}; }
};

TEST(OwnStack, WorkRunsElsewhereAndComesBack) {
  uint64_t inside = 0;
  const uint64_t outside = Here();
  ASSERT_TRUE(OnOwnStack([&] { inside = Here(); }));
  EXPECT_NE(inside, 0u);
  EXPECT_FALSE(Near(inside, outside));
  EXPECT_TRUE(Near(Here(), outside));
}

TEST(OwnStack, WorkInsideWorkStaysOnTheSameStack) {
  uint64_t outer = 0, inner = 0;
  ASSERT_TRUE(OnOwnStack([&] {
    outer = Here();
    ASSERT_TRUE(OnOwnStack([&] { inner = Here(); }));
  }));
  EXPECT_LT(inner, outer);
  EXPECT_LT(outer - inner, kOwnStackBytes);
}

TEST(OwnStack, AHandlerWaitsUntilTheProgramsStackIsBack) {
  struct sigaction action{}, before{};
  action.sa_handler = NoteWhere;
  sigaction(SIGUSR1, &action, &before);
  g_handler_at = 0;
  bool ran_inside = true;
  ASSERT_TRUE(OnOwnStack([&] {
    raise(SIGUSR1);
    ran_inside = g_handler_at != 0;
  }));
  EXPECT_FALSE(ran_inside);
  EXPECT_TRUE(Near(g_handler_at, Here()));
  sigaction(SIGUSR1, &before, nullptr);
}

TEST(OwnStack, TheMaskIsAsBefore) {
  sigset_t mine, after;
  sigemptyset(&mine);
  sigaddset(&mine, SIGUSR2);
  sigprocmask(SIG_SETMASK, &mine, nullptr);
  ASSERT_TRUE(OnOwnStack([] {}));
  sigprocmask(SIG_SETMASK, nullptr, &after);
  for (int number = 1; number < 32; ++number) EXPECT_EQ(sigismember(&after, number), number == SIGUSR2 ? 1 : 0);
  sigemptyset(&mine);
  sigprocmask(SIG_SETMASK, &mine, nullptr);
}

TEST(OwnStack, WhatCodeCausesItselfIsNotBlocked) {
  sigset_t inside;
  ASSERT_TRUE(OnOwnStack([&] { sigprocmask(SIG_SETMASK, nullptr, &inside); }));
  for (int number : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS}) EXPECT_EQ(sigismember(&inside, number), 0) << number;
  for (int number : {SIGALRM, SIGUSR1, SIGPROF, SIGTERM, 40}) EXPECT_EQ(sigismember(&inside, number), 1) << number;
}

TEST(OwnStack, ThreadsHaveOneEach) {
  std::vector<uint64_t> at(32);
  std::vector<std::thread> threads;
  uint32_t arrived = 0;
  for (uint64_t& mine : at) {
    threads.emplace_back([&] {
      EXPECT_TRUE(OnOwnStack([&] {
        mine = Here();
        __atomic_fetch_add(&arrived, 1u, __ATOMIC_RELAXED);
        while (__atomic_load_n(&arrived, __ATOMIC_RELAXED) < at.size()) sched_yield();
      }));
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (size_t i = 0; i < at.size(); ++i) {
    for (size_t j = 0; j < i; ++j) EXPECT_FALSE(Near(at[i], at[j])) << i << " " << j;
  }
}

// Another thread of the parent is on a stack when the child is made; the child has it back.
TEST(OwnStack, AForkedChildFreesThoseOfThreadsItDoesNotHave) {
  uint32_t stage = 0;
  uint64_t others = 0;
  std::thread other([&] {
    EXPECT_TRUE(OnOwnStack([&] {
      others = Here();
      __atomic_store_n(&stage, 1u, __ATOMIC_RELEASE);
      while (__atomic_load_n(&stage, __ATOMIC_ACQUIRE) != 2) sched_yield();
    }));
  });
  while (__atomic_load_n(&stage, __ATOMIC_ACQUIRE) != 1) sched_yield();
  const pid_t child = fork();
  if (child == 0) {
    uint64_t mine = 0;
    const bool first = OnOwnStack([&] { OwnStacksAfterFork(); }) && OnOwnStack([&] { mine = Here(); });
    _exit(first && Near(mine, others) ? 7 : 1);
  }
  int status = 0;
  waitpid(child, &status, 0);
  __atomic_store_n(&stage, 2u, __ATOMIC_RELEASE);
  other.join();
  EXPECT_EQ(WEXITSTATUS(status), 7);
}

// Whoever closes the gate may then forbid what a thread on such a stack still has to ask for.
TEST_F(Gated, WhoClosesTheGateWaitsForOtherThreads) {
  g_gate = {};
  uint32_t stage = 0;
  bool left = false;
  std::thread other([&] {
    EXPECT_TRUE(OnOwnStack([&] {
      __atomic_store_n(&stage, 1u, __ATOMIC_RELEASE);
      while (!__atomic_load_n(&g_gate.closed, __ATOMIC_ACQUIRE)) sched_yield();
      usleep(1000);
      __atomic_store_n(&left, true, __ATOMIC_RELEASE);
    }));
  });
  while (__atomic_load_n(&stage, __ATOMIC_ACQUIRE) != 1) sched_yield();
  g_gate.pid = getpid();
  __atomic_store_n(&g_gate.closed, 1u, __ATOMIC_SEQ_CST);
  AwaitOwnStacks();
  EXPECT_TRUE(__atomic_load_n(&left, __ATOMIC_ACQUIRE));
  other.join();
}

TEST_F(Gated, NothingIsCalledUnlessHere) {
  bool called = false;
  EXPECT_FALSE(OnOwnStack([&] { called = true; }));
  EXPECT_FALSE(called);
  uint64_t at = 0;
  EXPECT_TRUE(OnOwnStackOrHere([&] { at = Here(); }));
  EXPECT_TRUE(Near(at, Here()));
}

}  // namespace
}  // namespace leakhunt::sys
