// When a snapshot is due, and how an ending is judged: pure functions on invented clocks and statuses.
#include "collector/record/schedule.h"

#include <gtest/gtest.h>

#include <csignal>

#include "collector/ingest/allowance.h"
#include "collector/record/approach.h"
#include "collector/record/ending.h"
#include "collector/record/recording_directory.h"

namespace leakhunt::record {
namespace {

std::string Due(SnapshotSchedule* schedule, const ScheduleReading& reading, int64_t now_ms) {
  const char* reason = schedule->Due(reading, now_ms);
  return reason == nullptr ? "" : reason;
}

TEST(SnapshotSchedule, TheCadenceIsKept) {
  SnapshotSchedule schedule(1000, 100, {});
  EXPECT_EQ(Due(&schedule, {}, 1099), "");
  EXPECT_EQ(Due(&schedule, {}, 1130), "interval");
  EXPECT_EQ(Due(&schedule, {}, 1199), "");
  EXPECT_EQ(Due(&schedule, {}, 1201), "interval") << "a late one does not shift the next";
  EXPECT_EQ(Due(&schedule, {}, 1950), "interval");
  EXPECT_EQ(Due(&schedule, {}, 1999), "") << "missed ones are not made up for";
  EXPECT_EQ(Due(&schedule, {}, 2000), "interval");
}

TEST(SnapshotSchedule, TheFirstOnesComeSoonAndEachWaitsTwiceAsLong) {
  SnapshotSchedule schedule(50'000, 10'000, {});
  std::vector<int64_t> seconds;
  for (int64_t ms = 0; ms <= 40'000; ms += 100) {
    if (Due(&schedule, {}, 50'000 + ms) == "interval") seconds.push_back(ms / 1000);
  }
  EXPECT_EQ(seconds, (std::vector<int64_t>{1, 2, 4, 8, 10, 20, 30, 40}));
}

TEST(SnapshotSchedule, ALateFirstTickMakesOneSnapshotAndKeepsTheSteps) {
  SnapshotSchedule schedule(0, 60'000, {});
  EXPECT_EQ(Due(&schedule, {}, 5000), "interval");
  EXPECT_EQ(Due(&schedule, {}, 7999), "");
  EXPECT_EQ(Due(&schedule, {}, 8000), "interval");
  EXPECT_EQ(Due(&schedule, {}, 65'000), "interval");
  EXPECT_EQ(Due(&schedule, {}, 119'999), "");
  EXPECT_EQ(Due(&schedule, {}, 120'000), "interval");
}

TEST(SnapshotSchedule, AClockSetBackDoesNotStopIt) {
  SnapshotSchedule schedule(1'000'000, 100, {});
  EXPECT_EQ(Due(&schedule, {}, 500'000), "");
  EXPECT_EQ(Due(&schedule, {}, 500'100), "interval");
}

TEST(SnapshotSchedule, EachRssThresholdFiresOnce) {
  SnapshotSchedule schedule(0, 1'000'000, {100, 200, 300});
  EXPECT_EQ(Due(&schedule, {.rss_bytes = 99}, 1), "");
  EXPECT_EQ(Due(&schedule, {.rss_bytes = 100}, 2), "rss");
  EXPECT_EQ(Due(&schedule, {.rss_bytes = 50}, 3), "");
  EXPECT_EQ(Due(&schedule, {.rss_bytes = 150}, 4), "") << "when it first passes";
  EXPECT_EQ(Due(&schedule, {.rss_bytes = 310}, 5), "rss") << "two at once are one snapshot";
  EXPECT_EQ(Due(&schedule, {.rss_bytes = 900}, 6), "");
}

TEST(SnapshotSchedule, ALimitFiresAtNineTenthsAndAgainOnlyAfterRelief) {
  SnapshotSchedule schedule(0, 1'000'000, {});
  ScheduleReading reading{.cgroup_bytes = 899, .cgroup_limit_bytes = 1000};
  EXPECT_EQ(Due(&schedule, reading, 1), "");
  reading.cgroup_bytes = 900;
  EXPECT_EQ(Due(&schedule, reading, 2), "limit");
  reading.cgroup_bytes = 990;
  EXPECT_EQ(Due(&schedule, reading, 3), "");
  reading.cgroup_bytes = 850;
  EXPECT_EQ(Due(&schedule, reading, 4), "");
  reading.cgroup_bytes = 950;
  EXPECT_EQ(Due(&schedule, reading, 5), "");
  reading.cgroup_bytes = 700;
  EXPECT_EQ(Due(&schedule, reading, 6), "");
  reading.cgroup_bytes = 950;
  EXPECT_EQ(Due(&schedule, reading, 7), "limit");
  EXPECT_EQ(Due(&schedule, {.virtual_bytes = 95, .address_space_limit_bytes = 100}, 8), "limit");
  EXPECT_EQ(Due(&schedule, {.open_handles = 1000, .handle_limit = 1024}, 9), "limit");
}

TEST(Approach, LooksMoreOftenTheNearerTheGoal) {
  Approach approach;
  EXPECT_EQ(approach.NextLookMs(0, 1000, 1000), 25) << "no rate yet";
  EXPECT_EQ(approach.NextLookMs(500, 1000, 1100), 50) << "5 a ms: 100 ms away";
  EXPECT_EQ(approach.NextLookMs(950, 1000, 1190), Approach::kSoonestMs);
  EXPECT_EQ(approach.NextLookMs(940, 1000, 1200), Approach::kLatestMs) << "shrinking";
  EXPECT_EQ(approach.NextLookMs(1000, 1000, 1210), Approach::kLatestMs) << "there";
  EXPECT_EQ(approach.NextLookMs(5, 0, 1220), Approach::kLatestMs) << "no goal";
}

protocol::ProcessHeader Header(protocol::ImageEnd end, int status) {
  protocol::ProcessHeader header{};
  header.image_end = static_cast<uint32_t>(end);
  header.exit_status = status;
  return header;
}

TEST(Ending, TheKernelsWordGoesBeforeTheGuests) {
  Ending killed = EndingOf(SIGKILL, Header(protocol::ImageEnd::kExit, 0), false);
  EXPECT_EQ(killed.end, snapshot::End::kSignal);
  EXPECT_EQ(killed.signal, SIGKILL);
  EXPECT_STREQ(killed.reason, "death");
  Ending exited = EndingOf(3 << 8, Header(protocol::ImageEnd::kRunning, 0), false);
  EXPECT_EQ(exited.end, snapshot::End::kExit);
  EXPECT_EQ(exited.exit_status, 3);
  EXPECT_STREQ(exited.reason, "exit");
}

TEST(Ending, WithoutTheKernelTheGuestsHeaderTells) {
  Ending exited = EndingOf(std::nullopt, Header(protocol::ImageEnd::kExit, 256 + 4), false);
  EXPECT_EQ(exited.end, snapshot::End::kExit);
  EXPECT_EQ(exited.exit_status, 4);
  Ending lost = EndingOf(std::nullopt, Header(protocol::ImageEnd::kRunning, 0), false);
  EXPECT_EQ(lost.end, snapshot::End::kLost);
  EXPECT_FALSE(lost.exit_status);
}

TEST(Ending, AnOomKillIsASigkillWithAWitness) {
  EXPECT_EQ(EndingOf(SIGKILL, Header(protocol::ImageEnd::kRunning, 0), true).end, snapshot::End::kOom);
  EXPECT_EQ(EndingOf(SIGSEGV, Header(protocol::ImageEnd::kRunning, 0), true).end, snapshot::End::kSignal);
  EXPECT_EQ(EndingOf(std::nullopt, Header(protocol::ImageEnd::kRunning, 0), true).end, snapshot::End::kOom);
  EXPECT_EQ(EndingOf(0, Header(protocol::ImageEnd::kRunning, 0), true).end, snapshot::End::kExit);
}

TEST(RecordingDirectory, NamesAreSafeForAnyProgramName) {
  EXPECT_EQ(DirectoryName({12, "redis-server", 1'700'000'000'999, 0}), "redis-server-12-1700000000");
  EXPECT_EQ(DirectoryName({12, "../../etc x", 1000, 0}), "_._.._etc_x-12-1");
  EXPECT_EQ(DirectoryName({12, "", 1000, 0}), "process-12-1");
}

TEST(Allowance, ABurstThenOneARefill) {
  ingest::Allowance allowance(2, 1000);
  EXPECT_TRUE(allowance.Take(5000));
  EXPECT_TRUE(allowance.Take(5001));
  EXPECT_FALSE(allowance.Take(5999));
  EXPECT_TRUE(allowance.Take(6001));
  EXPECT_FALSE(allowance.Take(6002));
  EXPECT_TRUE(allowance.Take(60'000));
  EXPECT_TRUE(allowance.Take(60'000));
  EXPECT_FALSE(allowance.Take(60'000));
}

}  // namespace
}  // namespace leakhunt::record
