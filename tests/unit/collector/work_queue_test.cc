// Long work makes nobody wait longer than a turn, and each session's work is done in its order.
#include "collector/ingest/work_queue.h"

#include <gtest/gtest.h>

#include <chrono>
#include <string>

namespace leakhunt::ingest {
namespace {

constexpr uid_t kStranger = 4'000'000, kOther = 4'000'001;

void Spin(int64_t ms) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(ms);
  while (std::chrono::steady_clock::now() < end) Turns::Pause();
}

// Work that is never done by itself, however long this process stands still on a busy machine.
void SpinUntil(const bool& enough) {
  while (!enough) Turns::Pause();
}

void Nothing() {}

TEST(WorkQueue, WhatIsShortIsDoneAtOnce) {
  WorkQueue queue;
  std::string order;
  queue.Add(1, geteuid(), [&] { order += "w"; }, [&] { order += "d"; });
  EXPECT_EQ(order, "wd");
  EXPECT_TRUE(queue.Empty());
  EXPECT_EQ(queue.WaitMs(), -1);
}

TEST(WorkQueue, LongWorkStandsBackAndGoesOnWhereItWas) {
  WorkQueue queue;
  int steps = 0;
  bool done = false;
  queue.Add(1, geteuid(), [&] { for (; steps < 10; ++steps) Spin(15); }, [&] { done = true; });
  EXPECT_LT(steps, 10);
  int turns = 0;
  for (; !done && turns < 1000; ++turns) queue.Turn();
  EXPECT_TRUE(done);
  EXPECT_EQ(steps, 10);
  EXPECT_GE(turns, 5);
}

TEST(WorkQueue, AnothersWorkDoesNotWaitForLongWork) {
  WorkQueue queue;
  bool enough = false, long_done = false, short_done = false;
  queue.Add(1, geteuid(), [&] { SpinUntil(enough); }, [&] { long_done = true; });
  queue.Add(2, geteuid(), Nothing, [&] { short_done = true; });
  EXPECT_TRUE(short_done);
  EXPECT_FALSE(long_done);
  enough = true;
  queue.FinishAll();
  EXPECT_TRUE(long_done);
}

TEST(WorkQueue, LongWorkOfTwoSessionsTakesTurns) {
  WorkQueue queue;
  std::string order;
  bool enough = false;
  for (WorkQueue::SessionId session : {1, 2}) {
    queue.Add(session, geteuid(), [&, session] { while (!enough) order += session == 1 ? '1' : '2', Spin(5); }, Nothing);
  }
  order.clear();
  for (int turn = 0; turn < 6; ++turn) queue.Turn();
  EXPECT_NE(order.find('1'), std::string::npos);
  EXPECT_NE(order.find('2'), std::string::npos);
  enough = true;
  queue.FinishAll();
}

TEST(WorkQueue, ASessionsWorkIsDoneInOrderAndMayBeDropped) {
  WorkQueue queue;
  std::string order;
  bool enough = false;
  queue.Add(1, geteuid(), [&] { SpinUntil(enough), order += "1"; }, Nothing);
  queue.Add(1, geteuid(), [&] { order += "2"; }, Nothing);
  EXPECT_EQ(queue.WaitingOf(1), 2u);
  queue.DropWaiting(1);
  queue.Add(1, geteuid(), [&] { order += "3"; }, Nothing);
  enough = true;
  queue.FinishAll();
  EXPECT_EQ(order, "13");
  EXPECT_FALSE(queue.Has(1));
}

TEST(WorkQueue, AStrangersUserWorksOnOneAndRestsAfterATurn) {
  WorkQueue queue;
  bool second = false, others = false;
  queue.Add(1, kStranger, [] { Spin(100); }, Nothing);
  queue.Add(2, kStranger, [&] { second = true; }, Nothing);
  queue.Add(3, kOther, [&] { others = true; }, Nothing);
  EXPECT_TRUE(others);
  queue.Turn();  // the stranger's user rests
  EXPECT_FALSE(second);
  EXPECT_GT(queue.WaitMs(), 0);
  queue.FinishAll();
  EXPECT_TRUE(second);
}

TEST(WorkQueue, AtMostOnePieceOfAStrangersAndFourOfAllStrangersAreBegun) {
  WorkQueue queue;
  bool enough = false;
  int begun = 0, begun_of_first = 0;
  const auto work = [&](int* count) { return [&enough, &begun, count] { ++begun, ++*count, SpinUntil(enough); }; };
  int others = 0;
  for (WorkQueue::SessionId session = 1; session <= 3; ++session) queue.Add(session, kStranger, work(&begun_of_first), Nothing);
  for (WorkQueue::SessionId session = 4; session <= 9; ++session) {
    queue.Add(session, kStranger + static_cast<uid_t>(session), work(&others), Nothing);
  }
  for (int turn = 0; turn < 20; ++turn) {
    if (const int64_t wait_ms = queue.WaitMs(); wait_ms > 0) usleep(static_cast<useconds_t>(wait_ms) * 1000);
    queue.Turn();
  }
  EXPECT_EQ(begun_of_first, 1);
  EXPECT_EQ(begun, 4);
  enough = true;
  queue.FinishAll();
  EXPECT_EQ(begun, 9);
}

TEST(WorkQueue, WhatWasNotFinishedIsAtTheEndOfTheQueue) {
  bool finished = false;
  {
    WorkQueue queue;
    queue.Add(1, geteuid(), [&] { Spin(50), finished = true; }, Nothing);
  }
  EXPECT_TRUE(finished);
}

}  // namespace
}  // namespace leakhunt::ingest
