// The life of a recorded process: starts once, detaches and comes back, forks, ends, is asked to record nothing.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "preload/core/inherited.h"
#include "recorded_guest.h"

namespace leakhunt::core {
namespace {

using testing::Born;
using testing::Freed;
using testing::Live;
using testing::LiveHeap;
using testing::RecordedGuest;

constexpr uint64_t kBlock = 0x7000'0000'1000;

TEST(Process, BeforeItsStartNothingIsRecordedAndNothingHappens) {
  EXPECT_EQ(g_process.mode, Mode::kUnstarted);
  Freed(kBlock);
  RetireStaleSlow(kBlock, 1);
  EXPECT_FALSE(bool{ResizeBeginSlow(kBlock).entry});
  EXPECT_EQ(g_process.mode, Mode::kUnstarted);
}

TEST(Process, TheHeaderSaysWhoItIs) {
  RecordedGuest guest;
  ASSERT_TRUE(guest.Started());
  EXPECT_EQ(Header()->pid, static_cast<uint32_t>(getpid()));
  EXPECT_EQ(Header()->parent_pid, static_cast<uint32_t>(getppid()));
  EXPECT_EQ(Header()->fixed_interval_bytes, 1u);
  EXPECT_STREQ(Header()->name, "lh_guest_core_t");
  EXPECT_NE(std::string(Header()->executable).find("lh_guest_core_tests"), std::string::npos);
}

TEST(Process, ThePagesCannotShrink) {
  RecordedGuest guest;
  const int seals = fcntl(g_process.pages->Descriptor(), F_GET_SEALS);
  EXPECT_EQ(seals, F_SEAL_SHRINK | F_SEAL_SEAL);
  EXPECT_NE(ftruncate(g_process.pages->Descriptor(), 4096), 0);
}

TEST(Process, SwitchedOffItStaysOff) {
  RecordedGuest guest({"LEAKHUNT_COLLECTOR=off"});
  EXPECT_FALSE(guest.Started());
  EXPECT_EQ(g_process.mode, Mode::kOff);
  Born(kBlock, 10);
  EXPECT_EQ(g_process.mode, Mode::kOff);
  EXPECT_FALSE(RecordedGuest().Started());
}

TEST(Process, WhatWasRecordedBeforeADetachIsForgottenWhenItComesBack) {
  RecordedGuest guest;
  Born(kBlock, 100);
  DetachProcess();
  EXPECT_NE(Header()->flags & protocol::kFlagDetached, 0u);
  Born(kBlock + 64, 50);  // out of sight
  EXPECT_EQ(LiveHeap(guest.Capture()), (Live{1, 100})) << "the last look sees what was";
  ASSERT_TRUE(RecordedGuest().Started());
  EXPECT_EQ(Header()->flags & protocol::kFlagDetached, 0u);
  EXPECT_EQ(LiveHeap(guest.Capture()), (Live{0, 0})) << "it may have been freed meanwhile";
  Born(kBlock, 7);
  EXPECT_EQ(LiveHeap(guest.Capture()), (Live{1, 7}));
}

// Runs `check` in a child and takes its answer; a child has the guest's memory, but not its pages.
template <typename Fork>
void InChild(Fork fork_by, bool (*check)()) {
  const pid_t child = fork_by();
  if (child == 0) _exit(check() ? 0 : 1);
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
}

bool ChildHasPagesOfItsOwn() {
  if (ProcessIsAlive()) return false;
  transport::Pages* before = g_process.pages;
  Born(kBlock + 64, 50);
  Freed(kBlock);  // inherited
  if (!ProcessIsAlive() || g_process.pages == before || !IsForkedChild()) return false;
  if (Header()->pid != static_cast<uint32_t>(getpid()) || (Header()->flags & protocol::kFlagForkedChild) == 0)
    return false;
  if (Header()->forked_from_pid != static_cast<uint32_t>(getppid())) return false;
  return LiveHeap(RecordedGuest().Capture()) == Live{1, 50};
}

TEST(Process, AChildTakesPagesOfItsOwnAndLeavesItsParentsAlone) {
  RecordedGuest guest;
  Born(kBlock, 100);
  InChild([] { return fork(); }, ChildHasPagesOfItsOwn);
  InChild([] { return _Fork(); }, ChildHasPagesOfItsOwn);
  InChild([] { return static_cast<pid_t>(syscall(SYS_clone, SIGCHLD, nullptr, nullptr, nullptr, nullptr)); },
          ChildHasPagesOfItsOwn);
  EXPECT_EQ(LiveHeap(guest.Capture()), (Live{1, 100}));
}

bool ChildTellsWhatItInherited() {
  Born(kBlock + 0x10'0000, 1);
  PublishInherited();
  Freed(kBlock);
  return LiveHeap(RecordedGuest().Capture()) == Live{10, 9 * 100 + 1};
}

TEST(Process, AChildTellsWhatItInheritedLessWhatItFreed) {
  RecordedGuest guest;
  for (uint64_t i = 0; i < 10; ++i) Born(kBlock + i * 128, 100);
  InChild([] { return fork(); }, ChildTellsWhatItInherited);
}

bool GrandchildTellsWhoAllocated() {
  Born(kBlock + 0x20'0000, 1);
  PublishInherited();
  const pid_t child = fork();
  if (child != 0) {
    int status = 0;
    return waitpid(child, &status, 0) == child && status == 0;
  }
  Born(kBlock + 0x30'0000, 1);
  PublishInherited();
  const snapshot::Snapshot seen = RecordedGuest().Capture();
  if (LiveHeap(seen) != Live{12, 1002}) _exit(2);
  // The sites of the first process and of its child are two, and none of them has lost its frames.
  for (const snapshot::Site& site : seen.sites) {
    if (site.live_count.value > 0 && seen.stacks[site.stack].frames.empty()) _exit(3);
    if (site.live_count.value == 11) _exit(4);
  }
  _exit(0);
}

TEST(Process, AGrandchildTellsEachBlockUnderTheStackOfWhoAllocatedIt) {
  RecordedGuest guest;
  for (uint64_t i = 0; i < 10; ++i) Born(kBlock + i * 128, 100);
  InChild([] { return fork(); }, GrandchildTellsWhoAllocated);
}

TEST(Process, ChildrenAreLeftAloneWhereThatIsAskedFor) {
  RecordedGuest guest({"LEAKHUNT_SAMPLE_BYTES=1", "LEAKHUNT_CHILDREN=ignore"});
  Born(kBlock, 100);
  InChild([] { return fork(); },
          [] {
            Born(kBlock + 64, 50);
            return g_process.mode == Mode::kOff;
          });
}

// Works until housekeeping has been done, five seconds at most.
void WorkUntilOff() {
  for (int i = 0; i < 5000 && g_process.mode == Mode::kRecording; ++i) {
    for (int block = 0; block < 100; ++block) Born(kBlock, 10), Freed(kBlock);
    usleep(1000);
  }
}

TEST(Process, ItSwitchesOffWhenItsPagesAreOverwritten) {
  RecordedGuest guest;
  Header()->pid ^= 1;
  WorkUntilOff();
  EXPECT_EQ(g_process.mode, Mode::kOff);
  EXPECT_NE(Header()->flags & protocol::kFlagSwitchedOff, 0u);
  Born(kBlock, 10);
  EXPECT_FALSE(RecordedGuest().Started()) << "for good";
}

TEST(Process, ItSwitchesOffWhenATableNamesASlotThatIsNone) {
  RecordedGuest guest;
  Born(kBlock, 10);
  g_process.live.ForEach([](uint64_t, const Payload& payload) { const_cast<Payload&>(payload).slot = ~0u; });
  Freed(kBlock);
  EXPECT_EQ(g_process.mode, Mode::kOff);
  EXPECT_NE(Header()->flags & protocol::kFlagSwitchedOff, 0u);
}

TEST(Process, WorkingOnItStaysOn) {
  RecordedGuest guest;
  for (int i = 0; i < 300; ++i) {
    for (int block = 0; block < 100; ++block) Born(kBlock, 10), Freed(kBlock);
    usleep(1000);
  }
  EXPECT_EQ(g_process.mode, Mode::kRecording);
}

TEST(Process, AnExecThatFailsIsTakenBack) {
  RecordedGuest guest;
  ProcessExecs();
  EXPECT_EQ(Header()->image_end, static_cast<uint32_t>(protocol::ImageEnd::kExec));
  ProcessExecFailed();
  EXPECT_EQ(Header()->image_end, static_cast<uint32_t>(protocol::ImageEnd::kRunning));
}

TEST(Process, AnExitIsNotedWithItsStatus) {
  RecordedGuest guest;
  ProcessExits(42);
  EXPECT_EQ(Header()->image_end, static_cast<uint32_t>(protocol::ImageEnd::kExit));
  EXPECT_EQ(Header()->exit_status, 42);
  Born(kBlock, 10);
  EXPECT_EQ(LiveHeap(guest.Capture()), (Live{1, 10})) << "recording goes on until the process is gone";
}

TEST(Process, OnlyTheFirstSeccompFilterIsTheOneThatIsTakenBack) {
  RecordedGuest guest;
  EXPECT_TRUE(SeccompBegins());
  SeccompFailed();
  EXPECT_EQ(Header()->flags & protocol::kFlagSeccomp, 0u);
  EXPECT_TRUE(SeccompBegins());
  EXPECT_FALSE(SeccompBegins());
  EXPECT_NE(Header()->flags & protocol::kFlagSeccomp, 0u);
}

}  // namespace
}  // namespace leakhunt::core
