// What becomes of a descriptor's record: opened, closed, copied, replaced, put back; and what a site is told to hold.
#include "preload/core/handles.h"

#include <fcntl.h>

#include "recorded_guest.h"

namespace leakhunt::core {
namespace {

using protocol::HandleType;
using testing::RecordedGuest;

constexpr HandleDescription kFile{.label = "/var/log/x", .type = HandleType::kFile};
constexpr HandleDescription kTcp{.label = "127.0.0.1:80", .type = HandleType::kTcp};

[[gnu::noinline]] void Open(int fd, const HandleDescription& description = kFile) {
  unwind::CallerRegisters caller;
  unwind::CaptureCaller(&caller);
  HandleOpened(fd, description, &caller);
}

struct Counts {
  uint64_t open = 0, opened = 0, closed = 0;
  bool operator==(const Counts&) const = default;
};
Counts CountsOf(const snapshot::Snapshot& snapshot) {
  Counts counts;
  for (const snapshot::HandleSite& site : snapshot.handle_sites) {
    counts.open += site.open, counts.opened += site.opened, counts.closed += site.closed;
  }
  return counts;
}
void PrintTo(const Counts& counts, std::ostream* out) {
  *out << counts.open << " open, " << counts.opened << " opened, " << counts.closed << " closed";
}

// Numbers that nothing else of this process has.
constexpr int kFd = 700, kOther = 701;

TEST(Handles, OneIsOpenFromItsOpeningToItsClosing) {
  RecordedGuest guest;
  Open(kFd);
  Open(kOther, kTcp);
  const snapshot::Snapshot both = guest.Capture();
  EXPECT_EQ(CountsOf(both), (Counts{2, 2, 0}));
  EXPECT_EQ(TrackedType(kFd), HandleType::kFile);
  EXPECT_EQ(TrackedType(kOther), HandleType::kTcp);
  HandleClosing(kFd);
  EXPECT_EQ(CountsOf(guest.Capture()), (Counts{1, 2, 1}));
  HandleClosing(kFd);
  EXPECT_EQ(CountsOf(guest.Capture()), (Counts{1, 2, 1})) << "a second close closes nothing";
}

TEST(Handles, LabelsAndNumbersAreKept) {
  RecordedGuest guest;
  Open(kFd);
  for (const snapshot::HandleSite& site : guest.Capture().handle_sites) {
    ASSERT_EQ(site.examples.size(), 1u);
    EXPECT_EQ(site.examples[0].fd, kFd);
    EXPECT_EQ(site.examples[0].label, "/var/log/x");
  }
}

TEST(Handles, ANumberOpenedAgainEndsWhatWasThere) {
  RecordedGuest guest;
  Open(kFd);
  Open(kFd, kTcp);  // its close was out of sight
  EXPECT_EQ(CountsOf(guest.Capture()), (Counts{1, 2, 1}));
  EXPECT_EQ(TrackedType(kFd), HandleType::kTcp);
}

TEST(Handles, ACopyIsOneMoreOfTheSameKind) {
  RecordedGuest guest;
  Open(kFd, kTcp);
  unwind::CallerRegisters caller;
  unwind::CaptureCaller(&caller);
  HandleDuplicated(kFd, kOther, &caller);
  EXPECT_EQ(CountsOf(guest.Capture()), (Counts{2, 2, 0}));
  EXPECT_EQ(TrackedType(kOther), HandleType::kTcp);
  HandleClosing(kFd);
  EXPECT_EQ(TrackedType(kOther), HandleType::kTcp) << "the copy stays";
}

TEST(Handles, WhatIsTakenOutIsPutBackOrGone) {
  RecordedGuest guest;
  Open(kFd);
  DescriptorEntry taken = HandleTaken(kFd);
  ASSERT_TRUE(bool{taken});
  EXPECT_EQ(TrackedType(kFd), HandleType::kOther);
  HandlePutBack(kFd, taken);
  EXPECT_EQ(CountsOf(guest.Capture()), (Counts{1, 1, 0}));
  HandleGone(HandleTaken(kFd));
  EXPECT_EQ(CountsOf(guest.Capture()), (Counts{0, 1, 1}));
}

TEST(Handles, ARangeIsClosedAndNothingBesideIt) {
  RecordedGuest guest;
  for (int fd = kFd; fd < kFd + 10; ++fd) Open(fd);
  HandlesClosing(kFd + 2, kFd + 4);
  EXPECT_EQ(CountsOf(guest.Capture()), (Counts{7, 10, 3}));
  EXPECT_EQ(TrackedType(kFd + 1), HandleType::kFile);
  EXPECT_EQ(TrackedType(kFd + 2), HandleType::kOther);
  EXPECT_EQ(TrackedType(kFd + 4), HandleType::kOther);
  EXPECT_EQ(TrackedType(kFd + 5), HandleType::kFile);
  HandlesClosing(kFd, ~0u);
  EXPECT_EQ(CountsOf(guest.Capture()), (Counts{0, 10, 10}));
}

TEST(Handles, OneOpenedInAHandlerThatInterruptedLeakhuntHasAnUnknownStack) {
  RecordedGuest guest;
  ASSERT_TRUE(Enter());
  Open(kFd);
  Leave();
  const snapshot::Snapshot seen = guest.Capture();
  EXPECT_EQ(CountsOf(seen), (Counts{1, 1, 0}));
  EXPECT_EQ(seen.losses.unknown_stacks, 1u);
  HandleClosing(kFd);
  EXPECT_EQ(CountsOf(guest.Capture()), (Counts{0, 1, 1}));
}

TEST(Handles, BeyondTheNearNumbersItIsTheSame) {
  RecordedGuest guest;
  Open(200'000);
  EXPECT_EQ(CountsOf(guest.Capture()), (Counts{1, 1, 0}));
  HandleClosing(200'000);
  EXPECT_EQ(CountsOf(guest.Capture()), (Counts{0, 1, 1}));
}

TEST(Handles, AFailedOpeningIsNone) {
  RecordedGuest guest;
  Open(-1);
  EXPECT_EQ(CountsOf(guest.Capture()), (Counts{0, 0, 0}));
}

TEST(Handles, NoneIsRecordedWhereHandlesAreNotTracked) {
  RecordedGuest guest({"LEAKHUNT_SAMPLE_BYTES=1", "LEAKHUNT_TRACK=heap"});
  Open(kFd);
  HandleClosing(kFd);
  EXPECT_EQ(CountsOf(guest.Capture()), (Counts{0, 0, 0}));
}

TEST(Handles, ErrnoStays) {
  RecordedGuest guest;
  errno = 77;
  Open(kFd);
  HandleClosing(kFd);
  EXPECT_EQ(errno, 77);
}

}  // namespace
}  // namespace leakhunt::core
