// What one process, and one user, may make the collector do and keep.
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <memory>

#include "session_fixture.h"

namespace leakhunt::ingest {
namespace {

constexpr uid_t kStranger = 4'000'000;

class SessionBounds : public SessionTest {
 protected:
  // A session as of that user's process; the guest says nothing itself.
  SessionId AdmitAs(uid_t user, const FakeGuest& guest, UniqueFd pages) {
    Arrival arrival;
    arrival.memfd = std::move(pages);
    arrival.pid = guest.Pid();
    arrival.uid = user;
    auto session = sessions_->Admit(std::move(arrival));
    EXPECT_TRUE(session);
    return session ? *session : 0;
  }
  std::unique_ptr<FakeGuest> Guest() { return std::make_unique<FakeGuest>(socket_, -1); }

  void End(FakeGuest* guest, Order how) {
    const pid_t pid = guest->Pid();
    guest->Tell(how);
    sessions_->NoteExit(pid, guest->Reap());
    sessions_->FinishWork();
  }

  size_t Files() {
    size_t files = 0;
    for (const snapshot::Recording& recording : Recordings()) files += recording.files.size();
    return files;
  }
};

TEST_F(SessionBounds, ANewImageOfALiveProcessIsAnotherRecording) {
  auto guest = Guest();
  AdmitAs(geteuid(), *guest, Pages());
  AdmitAs(geteuid(), *guest, Pages(0, leakhunt::testing::kStartedNs + 1));
  sessions_->StopAll();
  EXPECT_EQ(sessions_->EverAdmitted(), 2u);
  EXPECT_EQ(Recordings().size(), 2u);
}

TEST_F(SessionBounds, TheSameImageWithOtherPagesIsTheSameRecording) {
  auto guest = Guest();
  AdmitAs(geteuid(), *guest, Pages());
  AdmitAs(geteuid(), *guest, Pages());
  EXPECT_EQ(sessions_->EverAdmitted(), 1u);
}

TEST_F(SessionBounds, ShortRunsThatHoldNoMoreAreFolded) {
  constexpr size_t kKept = ShortRuns::kKeptOfStranger;
  const auto run = [&](Order how, bool seen_running = false) {
    auto guest = Guest();
    AdmitAs(kStranger, *guest, Pages());
    if (seen_running) sessions_->SnapshotAll("request", ""), sessions_->FinishWork();
    End(guest.get(), how);
  };
  for (size_t i = 0; i < kKept + 8; ++i) run(Order::kExit);
  EXPECT_EQ(Recordings().size(), kKept + 1) << "the first of all is not asked about";
  run(Order::kKill);
  EXPECT_EQ(Recordings().size(), kKept + 2) << "how it ended is worth keeping";
  const size_t files = Files();
  run(Order::kExit, true);
  EXPECT_EQ(Files(), files + 2) << "it was seen running, and its end is told";
  run(Order::kExit);
  EXPECT_EQ(Files(), files + 2);
}

TEST_F(SessionBounds, TheProcessesOfAStrangerShareItsRequests) {
  std::vector<std::unique_ptr<FakeGuest>> guests;
  for (int i = 0; i < 4; ++i) {
    guests.push_back(Guest());
    const SessionId session = AdmitAs(kStranger, *guests.back(), Pages());
    for (int request = 0; request < 20; ++request) sessions_->Request(session, "");
  }
  sessions_->FinishWork();
  EXPECT_GE(Files(), 40u);
  EXPECT_LT(Files(), 60u);
}

TEST_F(SessionBounds, ARecordingStaysUnderItsCeiling) {
  options_.max_disk_bytes = 10'000;
  Restart();
  auto guest = Guest();
  AdmitAs(geteuid(), *guest, Pages());
  for (int i = 0; i < 60; ++i) sessions_->SnapshotAll("request", ""), sessions_->FinishWork();
  const std::vector<snapshot::Recording> recordings = Recordings();
  ASSERT_EQ(recordings.size(), 1u);
  uint64_t bytes = 0;
  for (const auto& file : recordings[0].files) bytes += std::filesystem::file_size(file);
  EXPECT_LE(bytes, options_.max_disk_bytes);
  EXPECT_EQ(Last(recordings[0]).number, 60u);
}

TEST_F(SessionBounds, AllRecordingsStayUnderTheirCeiling) {
  options_.max_disk_total_bytes = 60'000;  // each takes two blocks
  Restart();
  for (int i = 0; i < 30; ++i) {
    auto guest = Guest();
    AdmitAs(geteuid(), *guest, Pages());
    End(guest.get(), Order::kExit);
  }
  EXPECT_LE(Recordings().size(), 8u);
}

// A file system of sixteen pages, this process's alone. Its first recording fills it.
TEST_F(SessionBounds, OnAFullDiskOldSnapshotsAndEndedRecordingsMakeRoomForTheLast) {
  const std::string disk = directory_.Path() + "/disk";
  std::filesystem::create_directory(disk);
  if (unshare(CLONE_NEWNS) != 0 || mount("", "/", "", MS_REC | MS_PRIVATE, nullptr) != 0 ||
      mount("tmpfs", disk.c_str(), "tmpfs", 0, "size=64k") != 0) {
    GTEST_SKIP() << "needs a mount of its own";
  }
  options_.output = disk + "/recordings";
  Restart();
  auto first = Guest(), second = Guest();
  AdmitAs(geteuid(), *first, Pages());
  for (int i = 0; i < 40; ++i) sessions_->SnapshotAll("request", ""), sessions_->FinishWork();
  End(first.get(), Order::kExit);
  ASSERT_EQ(Recordings().size(), 1u);
  EXPECT_EQ(Last(Recordings()[0]).process.end, snapshot::End::kExit) << "its own old ones made room";
  std::ofstream(disk + "/filler") << std::string(64 * 1024, 'x');
  const pid_t pid = second->Pid();
  AdmitAs(geteuid(), *second, Pages());
  End(second.get(), Order::kExit);
  const std::vector<snapshot::Recording> left = Recordings();
  ASSERT_EQ(left.size(), 1u);
  EXPECT_EQ(Last(left[0]).process.pid, pid) << "the one that ended made room";
  umount(disk.c_str());
}

TEST_F(SessionBounds, SnapshotsThatWaitAreBounded) {
  auto guest = Guest();
  AdmitAs(kStranger, *guest, Pages());  // whose work rests after each turn
  for (int i = 0; i < 200; ++i) sessions_->SnapshotAll("request", "");
  sessions_->FinishWork();
  EXPECT_GE(Files(), 32u);
  EXPECT_LT(Files(), 100u);
}

TEST_F(SessionBounds, AStrangersWishForAnIntervalHasALimit) {
  options_.interval_ms.reset();
  Restart();
  PageBuilder builder;
  builder.header().snapshot_interval_ms = 10;
  auto guest = Guest();
  AdmitAs(kStranger, *guest, builder.Seal());
  ASSERT_TRUE(Until([&] { return Files() >= 4; }));
  const snapshot::Recording recording = Recordings()[0];
  const int64_t first_ms = snapshot::ReadSnapshot(recording.files[0])->time_ms;
  EXPECT_GE(Last(recording).time_ms - first_ms, 95 * static_cast<int64_t>(recording.files.size() - 1));
}

TEST_F(SessionBounds, NoMoreHandlesAreBelievedThanTheProcessMayHaveOpen) {
  constexpr int kSaid = 600;
  constexpr rlim_t kMay = 64;
  auto guest = Guest();
  const rlimit limit{kMay, kMay};
  ASSERT_EQ(prlimit(guest->Pid(), RLIMIT_NOFILE, &limit, nullptr), 0);
  PageBuilder builder;
  const uint32_t stack = builder.AddStack({0x1000});
  for (int fd = 0; fd < kSaid; ++fd) builder.AddHandle({.fd = fd, .stack = stack});
  AdmitAs(geteuid(), *guest, builder.Seal());
  sessions_->SnapshotAll("request", "");
  sessions_->FinishWork();
  ASSERT_EQ(Recordings().size(), 1u);
  EXPECT_GE(Last(Recordings()[0]).losses.invalid_records, kSaid - kMay - 64);
}

}  // namespace
}  // namespace leakhunt::ingest
