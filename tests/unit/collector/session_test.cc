// Sessions from Hello to the last snapshot, with real processes as guests and real files.
#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <filesystem>

#include "session_fixture.h"

namespace leakhunt::ingest {
namespace {

TEST_F(SessionTest, AProcessKilledBySignalNineLeavesItsLastState) {
  UniqueFd pages = Pages();
  FakeGuest guest(socket_, pages.Get());
  Welcome(&guest);
  pid_t pid = guest.Pid();
  guest.Tell(Order::kKill);
  ASSERT_TRUE(Until([&] { return Gone(); }));
  ASSERT_EQ(Recordings().size(), 1u);
  snapshot::Snapshot last = Last(Recordings()[0]);
  EXPECT_EQ(last.reason, "death");
  EXPECT_EQ(last.process.end, snapshot::End::kSignal);
  EXPECT_EQ(last.process.signal, SIGKILL);
  EXPECT_EQ(last.process.pid, pid);
  EXPECT_TRUE(last.process.run_first);
  EXPECT_GE(last.process.ended_ms, last.process.started_ms);
  ASSERT_EQ(last.sites.size(), 1u);
  EXPECT_EQ(last.sites[0].live_bytes.value, 640);
}

TEST_F(SessionTest, AStatusIsKnownThoughTheCollectorIsNotTheParent) {
  UniqueFd pages = Pages();
  FakeGuest guest(socket_, pages.Get());
  Welcome(&guest);
  guest.Tell(Order::kExit);  // unreaped: the zombie's stat tells
  ASSERT_TRUE(Until([&] { return Gone(); }));
  snapshot::Snapshot last = Last(Recordings()[0]);
  EXPECT_EQ(last.reason, "exit");
  EXPECT_EQ(last.process.end, snapshot::End::kExit);
  EXPECT_EQ(last.process.exit_status, 7);
}

TEST_F(SessionTest, AStatusIsKnownAfterTheParentReaped) {
  UniqueFd pages = Pages();
  FakeGuest guest(socket_, pages.Get());
  Welcome(&guest);
  guest.Tell(Order::kAbort);
  ASSERT_TRUE(WIFSIGNALED(guest.Reap()));  // nothing left in /proc; the pidfd still knows, from Linux 6.15 on
  ASSERT_TRUE(Until([&] { return Gone(); }));
  snapshot::Snapshot last = Last(Recordings()[0]);
  EXPECT_EQ(last.reason, "death");
  if (last.process.end != snapshot::End::kLost) {
    EXPECT_EQ(last.process.end, snapshot::End::kSignal);
    EXPECT_EQ(last.process.signal, SIGABRT);
  }
}

TEST_F(SessionTest, WhatOurOwnWaitSaysIsBelievedFirst) {
  UniqueFd pages = Pages();
  FakeGuest guest(socket_, pages.Get());
  Welcome(&guest);
  pid_t pid = guest.Pid();
  guest.Tell(Order::kExit);
  int status = guest.Reap();
  sessions_->NoteExit(pid, status);
  sessions_->FinishWork();
  EXPECT_TRUE(Gone());
  EXPECT_EQ(Last(Recordings()[0]).process.exit_status, 7);
}

TEST_F(SessionTest, AHelloThatTheSenderDidNotSurviveIsRecorded) {
  UniqueFd pages = Pages();
  pid_t pid;
  {
    FakeGuest guest(socket_, pages.Get());
    pid = guest.Pid();
    guest.Tell(Order::kHello);
    usleep(50'000);  // let it send; nobody answers, so it waits and is killed by the destructor
  }
  ASSERT_TRUE(Until([&] { return Gone() && !Recordings().empty(); }));
  EXPECT_EQ(Last(Recordings()[0]).process.pid, pid);
  EXPECT_NE(Last(Recordings()[0]).process.end, snapshot::End::kRunning);
}

TEST_F(SessionTest, ASnapshotTheProgramAskedForCarriesItsLabel) {
  UniqueFd pages = Pages();
  FakeGuest guest(socket_, pages.Get());
  Welcome(&guest);
  guest.Tell(Order::kSnapshot);
  ASSERT_TRUE(Until([&] { return !Recordings().empty(); }));
  snapshot::Snapshot last = Last(Recordings()[0]);
  EXPECT_EQ(last.reason, "request");
  EXPECT_EQ(last.label, "after the load");
  EXPECT_EQ(last.process.end, snapshot::End::kRunning);
  EXPECT_GT(last.vitals.back().rss_bytes, 0u);
  EXPECT_EQ(last.vitals.back().heap_live_bytes, 640u);
  EXPECT_GT(last.limits.machine_bytes, 0u);
  EXPECT_GT(last.handle_totals.limit, 0u);
}

TEST_F(SessionTest, IntervalsGiveNumberedSnapshotsInPrivateFiles) {
  options_.interval_ms = 30;
  Restart();
  UniqueFd pages = Pages();
  FakeGuest guest(socket_, pages.Get());
  Welcome(&guest);
  ASSERT_TRUE(Until([&] { return !Recordings().empty() && Recordings()[0].files.size() >= 3; }));
  snapshot::Recording recording = Recordings()[0];
  EXPECT_EQ(Last(recording).reason, "interval");
  EXPECT_EQ(recording.files[2].filename(), "snapshot-000003.lhs");
  using std::filesystem::perms;
  EXPECT_EQ(std::filesystem::status(recording.directory).permissions(), perms::owner_all);
  EXPECT_EQ(std::filesystem::status(options_.output).permissions(), perms::owner_all);
  EXPECT_EQ(std::filesystem::status(recording.files[0]).permissions(), perms::owner_read | perms::owner_write);
}

TEST_F(SessionTest, AnExecEndsOneRecordingAndChainsTheNext) {
  UniqueFd pages = Pages();
  FakeGuest guest(socket_, pages.Get());
  Welcome(&guest);
  PageBuilder builder;
  builder.header().start_ticks = 77;
  builder.header().image_end = static_cast<uint32_t>(protocol::ImageEnd::kExec);
  std::vector<uint8_t> content = builder.Content();
  ASSERT_EQ(pwrite(pages.Get(), content.data() + protocol::kPageBytes, 2 * protocol::kPageBytes, protocol::kPageBytes),
            static_cast<ssize_t>(2 * protocol::kPageBytes));
  guest.Tell(Order::kDisconnect);
  ASSERT_TRUE(Until([&] { return Gone(); }));
  snapshot::Snapshot before = Last(Recordings()[0]);
  EXPECT_EQ(before.reason, "exec");
  EXPECT_EQ(before.process.end, snapshot::End::kExit);
  EXPECT_TRUE(before.process.replaced_by_exec);

  Arrival next;
  next.memfd = Pages(0, leakhunt::testing::kStartedNs + 1);  // an image that forgot its number with its environment
  next.pid = guest.Pid();
  next.uid = geteuid();
  ASSERT_TRUE(sessions_->Admit(std::move(next)));
  sessions_->StopAll();
  ASSERT_EQ(Recordings().size(), 2u);
  snapshot::Snapshot first = Last(Recordings()[0]), second = Last(Recordings()[1]);
  if (first.process.image > second.process.image) std::swap(first, second);
  EXPECT_EQ(second.process.image, 1u);
  EXPECT_EQ(second.process.pid, first.process.pid);
  EXPECT_FALSE(second.process.previous.empty());
  EXPECT_TRUE(std::filesystem::exists(options_.output / second.process.previous));
  EXPECT_EQ(second.process.run_id, first.process.run_id);
}

TEST_F(SessionTest, ARestartedCollectorContinuesTheRecordingAndMarksTheGap) {
  UniqueFd pages = Pages();
  FakeGuest guest(socket_, pages.Get());
  Welcome(&guest);
  sessions_->SnapshotAll("request", "");
  sessions_->FinishWork();
  snapshot::Snapshot before = Last(Recordings()[0]);
  Restart();
  Welcome(&guest);
  sessions_->SnapshotAll("request", "");
  sessions_->FinishWork();
  ASSERT_EQ(Recordings().size(), 1u);
  ASSERT_EQ(Recordings()[0].files.size(), 2u);
  snapshot::Snapshot after = Last(Recordings()[0]);
  EXPECT_EQ(after.number, 2u);
  EXPECT_EQ(after.process.run_id, before.process.run_id);
  ASSERT_EQ(after.losses.gaps.size(), 1u);
  EXPECT_EQ(after.losses.gaps[0].from_ms, before.time_ms);
  EXPECT_GE(after.losses.gaps[0].to_ms, before.time_ms);
  EXPECT_EQ(after.sites[0].live_bytes.value, 640);
}

TEST_F(SessionTest, AReconnectOfTheSamePagesIsTheSameSession) {
  UniqueFd pages = Pages();
  FakeGuest guest(socket_, pages.Get());
  Welcome(&guest);
  guest.Tell(Order::kDisconnect);
  Welcome(&guest);
  EXPECT_EQ(sessions_->Count(), 1u);
  EXPECT_EQ(sessions_->EverAdmitted(), 1u);
}

TEST_F(SessionTest, AnUnwritableOutputCostsNothingButTheSnapshots) {
  options_.output = "/proc/leakhunt";
  Restart();
  SetVerbosity(Verbosity::kQuiet);
  UniqueFd pages = Pages();
  FakeGuest guest(socket_, pages.Get());
  Welcome(&guest);
  sessions_->SnapshotAll("request", "");
  sessions_->FinishWork();
  EXPECT_EQ(sessions_->Count(), 1u);
  options_.output = directory_.Path() + "/elsewhere";
  guest.Tell(Order::kExit);
  EXPECT_TRUE(Until([&] { return Gone(); }));
  SetVerbosity(Verbosity::kNormal);
}

TEST_F(SessionTest, HostilePeersAreRefusedOrDropped) {
  auto closed = [&](const UniqueFd& peer) {
    return Until([&] {
      char byte[256];
      ssize_t got = recv(peer.Get(), byte, sizeof(byte), MSG_DONTWAIT);
      return got == 0 || (got < 0 && errno == ECONNRESET);
    });
  };
  protocol::Message hello = MakeMessage(protocol::MessageKind::kHello);
  UniqueFd pages = Pages();

  UniqueFd without_descriptor = leakhunt::testing::ConnectSocket(socket_);
  leakhunt::testing::SendWith(without_descriptor.Get(), &hello, sizeof(hello), {});
  EXPECT_TRUE(closed(without_descriptor));

  UniqueFd with_many = leakhunt::testing::ConnectSocket(socket_);
  leakhunt::testing::SendWith(with_many.Get(), &hello, sizeof(hello), {0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1});
  EXPECT_TRUE(closed(with_many));

  UniqueFd short_message = leakhunt::testing::ConnectSocket(socket_);
  leakhunt::testing::SendWith(short_message.Get(), "x", 1, {pages.Get()});
  EXPECT_TRUE(closed(short_message));

  UniqueFd not_pages = leakhunt::testing::ConnectSocket(socket_);
  leakhunt::testing::SendWith(not_pages.Get(), &hello, sizeof(hello), {0});
  EXPECT_TRUE(closed(not_pages));

  UniqueFd other_version = leakhunt::testing::ConnectSocket(socket_);
  protocol::Message future = hello;
  future.version = 99;
  leakhunt::testing::SendWith(other_version.Get(), &future, sizeof(future), {pages.Get()});
  protocol::Message reply{};
  ASSERT_TRUE(Until([&] { return recv(other_version.Get(), &reply, sizeof(reply), MSG_DONTWAIT) == sizeof(reply); }));
  EXPECT_EQ(reply.kind, static_cast<uint16_t>(protocol::MessageKind::kRefused));

  EXPECT_EQ(sessions_->Count(), 0u);
  FakeGuest guest(socket_, pages.Get());
  Welcome(&guest);
}

TEST_F(SessionTest, AThousandSilentConnectionsDoNotShutOutAGuest) {
  std::vector<UniqueFd> crowd;
  for (int i = 0; i < 1000; ++i) {
    crowd.push_back(leakhunt::testing::ConnectSocket(socket_));
    if (i % 100 == 99) {
      EXPECT_TRUE(loop_->RunOnce(0));
    }
  }
  ASSERT_TRUE(Until([&] { return door_->Count() == 256; }));
  UniqueFd pages = Pages();
  FakeGuest guest(socket_, pages.Get());
  Welcome(&guest);  // while the crowd stands there
  EXPECT_EQ(sessions_->Count(), 1u);
  EXPECT_LE(door_->Count(), 257u);
}

TEST_F(SessionTest, AnEarlierRecordingGoesOnForItsOwnProcessOnly) {
  UniqueFd pages = Pages();
  FakeGuest guest(socket_, pages.Get());
  snapshot::Snapshot mine;
  mine.time_ms = record::NowMs();
  mine.number = 1;
  mine.reason = "interval";
  mine.process.pid = guest.Pid();
  mine.process.uid = geteuid();
  mine.process.started_ms = leakhunt::testing::kStartedMs;
  mine.process.end = snapshot::End::kRunning;
  snapshot::Snapshot another_users = mine, ended = mine, of_an_earlier_process = mine;
  ++another_users.process.uid;
  ended.process.end = snapshot::End::kExit;
  of_an_earlier_process.time_ms -= 3'600'000;
  const auto files_after_continuing = [&](const snapshot::Snapshot& earlier) {
    std::filesystem::remove_all(options_.output);
    const std::string name = "evil-" + std::to_string(guest.Pid()) + "-" + std::to_string(earlier.process.started_ms / 1000);
    std::filesystem::create_directories(options_.output / name);
    EXPECT_TRUE(snapshot::WriteSnapshot(earlier, options_.output / name / "snapshot-000001.lhs"));
    usleep(20'000);  // /proc tells the start to a hundredth of a second
    Restart();
    Welcome(&guest);
    sessions_->SnapshotAll("request", "");
    sessions_->FinishWork();
    size_t files = 0;
    for (const auto& entry : std::filesystem::directory_iterator(options_.output / name)) files += entry.is_regular_file();
    return files;
  };
  EXPECT_EQ(files_after_continuing(mine), 2u);
  EXPECT_EQ(files_after_continuing(another_users), 1u);
  EXPECT_EQ(files_after_continuing(ended), 1u);
  EXPECT_EQ(files_after_continuing(of_an_earlier_process), 1u);
}

TEST_F(SessionTest, AProcessThatCannotBeSeenContinuesNothing) {
  const pid_t claimed = getpid();  // in another pid namespace its number is what it says itself
  snapshot::Snapshot earlier;
  earlier.time_ms = record::NowMs();
  earlier.number = 1;
  earlier.reason = "interval";
  earlier.process.pid = claimed;
  earlier.process.uid = geteuid();
  earlier.process.started_ms = leakhunt::testing::kStartedMs;
  earlier.process.end = snapshot::End::kRunning;
  const auto recording = options_.output / ("evil-" + std::to_string(claimed) + "-" + std::to_string(earlier.process.started_ms / 1000));
  std::filesystem::create_directories(recording);
  ASSERT_TRUE(snapshot::WriteSnapshot(earlier, recording / "snapshot-000001.lhs"));
  PageBuilder builder;
  builder.header().pid = static_cast<uint32_t>(claimed);
  Arrival arrival;
  arrival.memfd = builder.Seal();
  arrival.uid = geteuid();
  ASSERT_TRUE(sessions_->Admit(std::move(arrival)));
  sessions_->SnapshotAll("request", "");
  sessions_->FinishWork();
  EXPECT_EQ(Recordings().size(), 2u);
}

TEST_F(SessionTest, AnEndedProcessIsNotContinuedByANewOneOfItsPid) {
  UniqueFd pages = Pages(), claimed = Pages();
  FakeGuest guest(socket_, pages.Get());
  Welcome(&guest);
  const pid_t pid = guest.Pid();
  guest.Tell(Order::kExit);
  guest.Reap();
  Arrival next;  // comes before the end of the first was looked at, and says that it is the same image
  next.memfd = std::move(claimed);
  next.pid = pid;
  next.uid = geteuid();
  ASSERT_TRUE(sessions_->Admit(std::move(next)));
  sessions_->FinishWork();
  EXPECT_EQ(sessions_->EverAdmitted(), 2u);
  ASSERT_GE(Recordings().size(), 1u);
  EXPECT_NE(Last(Recordings()[0]).process.end, snapshot::End::kRunning);
}

TEST_F(SessionTest, KinOfACommandDescendFromItsCollector) {
  SessionTable command(loop_.get(), options_, Mode::kCommand);
  SessionTable serve(loop_.get(), options_, Mode::kServe);
  ASSERT_EQ(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  const pid_t child = fork();
  if (child == 0) {  // a daemon's way: its parent is gone when it is looked at
    if (fork() == 0) {
      const pid_t self = getpid();
      (void)!write(ends[1], &self, sizeof(self));
      pause();
    }
    _exit(0);
  }
  waitpid(child, nullptr, 0);
  pid_t daemon = 0;
  ASSERT_EQ(read(ends[0], &daemon, sizeof(daemon)), static_cast<ssize_t>(sizeof(daemon)));
  EXPECT_TRUE(command.IsKin(daemon));
  EXPECT_TRUE(command.IsKin(getpid()));
  EXPECT_FALSE(command.IsKin(getppid()));
  EXPECT_FALSE(serve.IsKin(daemon));
  kill(daemon, SIGKILL);
  waitpid(daemon, nullptr, 0);
  EXPECT_FALSE(command.IsKin(daemon));
  prctl(PR_SET_CHILD_SUBREAPER, 0);
  close(ends[0]);
  close(ends[1]);
}

TEST_F(SessionTest, ChildrenMayBeLeftOut) {
  UniqueFd pages = Pages();
  door_->AdmitOnly(getpid());
  FakeGuest guest(socket_, pages.Get());
  guest.Tell(Order::kHello);
  char answer = '?';
  ASSERT_TRUE(Until([&] { return (answer = guest.Answer()) != '?'; }));
  EXPECT_EQ(answer, 'r');
  EXPECT_EQ(sessions_->Count(), 0u);
}

TEST_F(SessionTest, AnAdoptedConnectionIsServed) {
  int ends[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends), 0);
  UniqueFd guest_end(ends[0]), collector_end(ends[1]);
  UniqueFd pages = Pages();
  protocol::Message hello = MakeMessage(protocol::MessageKind::kHello);
  leakhunt::testing::SendWith(guest_end.Get(), &hello, sizeof(hello), {pages.Get()});
  UniqueFd other_collector = leakhunt::testing::ConnectSocket(socket_);
  protocol::Message adopt = MakeMessage(protocol::MessageKind::kAdopt);
  leakhunt::testing::SendWith(other_collector.Get(), &adopt, sizeof(adopt), {collector_end.Get()});
  other_collector.Reset();
  ASSERT_TRUE(Until([&] { return sessions_->Count() == 1; }));
  protocol::Message reply{};
  ASSERT_EQ(recv(guest_end.Get(), &reply, sizeof(reply), 0), static_cast<ssize_t>(sizeof(reply)));
  EXPECT_EQ(reply.kind, static_cast<uint16_t>(protocol::MessageKind::kWelcome));
}

}  // namespace
}  // namespace leakhunt::ingest
