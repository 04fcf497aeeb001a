// Handles: rows, reconciliation with the kernel's list, lists at start and end.
#include <gtest/gtest.h>

#include "collector/ledger/ledger.h"
#include "page_builder.h"
#include "whole_capture.h"

namespace leakhunt::ledger {
namespace {

using protocol::AreaKind;
using protocol::SlotState;
using snapshot::HandleType;
using snapshot::Snapshot;
using testing::HandleSpec;
using testing::kStartedMs;
using testing::PageBuilder;
using Wire = protocol::HandleType;

KernelHandle Kernel(int fd, HandleType type, const std::string& label, uint64_t inode = 0) {
  return {fd, type, label, inode, label};
}

class Subject {
 public:
  explicit Subject(PageBuilder* pages) : fd_(pages->Seal()) {
    Result<std::unique_ptr<ProcessLedger>> ledger = ProcessLedger::Open(UniqueFd(::dup(fd_.Get())));
    EXPECT_TRUE(ledger) << ledger.error().message;
    ledger_ = *std::move(ledger);
  }

  Snapshot Capture(const std::vector<KernelHandle>* kernel, bool alive = true) {
    Snapshot out;
    CaptureOptions options;
    options.kernel_handles = kernel;
    options.process_alive = alive;
    options.now_ms = kStartedMs + 10'000 * ++captures_;
    EXPECT_TRUE(testing::CaptureWhole(*ledger_, options, &out));
    return out;
  }

  void Change(uint64_t offset, const HandleSpec& spec) {
    const protocol::HandleSlot slot = PageBuilder::MakeHandle(spec);
    ASSERT_EQ(::pwrite(fd_.Get(), &slot, sizeof(slot), static_cast<off_t>(offset)), static_cast<ssize_t>(sizeof(slot)));
  }

 private:
  UniqueFd fd_;
  std::unique_ptr<ProcessLedger> ledger_;
  int captures_ = 0;
};

uint64_t Sum(const Snapshot& out) {
  return out.handle_totals.open + out.handle_totals.untracked + out.handle_totals.inherited;
}

TEST(LedgerHandles, RowsByTypeAndSiteWithOldestExamplesFirst) {
  PageBuilder pages;
  const uint32_t a = pages.AddStack({0x1100}), b = pages.AddStack({0x1200});
  for (int i = 0; i < 40; ++i) {
    pages.AddHandle({.fd = 10 + i, .type = Wire::kTcp, .label = "peer", .stack = a, .tick = 400u - 10 * i});
  }
  pages.AddHandle({.fd = 5, .type = Wire::kFile, .label = "/etc/x", .stack = b, .tick = 7, .thread = 3});
  pages.AddHandleTally(a, 100, 60, 45);
  pages.AddHandleTally(b, 1, 0, 1);
  pages.AddThread(3, 99, "io", 0, 0);
  const Snapshot out = Subject(&pages).Capture(nullptr);
  ASSERT_EQ(out.handle_sites.size(), 2u);
  const snapshot::HandleSite& tcp = out.handle_sites[0];
  EXPECT_EQ(tcp.type, HandleType::kTcp);
  EXPECT_EQ(tcp.open, 40u);
  EXPECT_EQ(tcp.opened, 100u);
  EXPECT_EQ(tcp.closed, 60u);
  EXPECT_EQ(tcp.peak, 45u);
  EXPECT_EQ(tcp.births_ms.size(), 40u);
  EXPECT_TRUE(std::is_sorted(tcp.births_ms.begin(), tcp.births_ms.end()));
  ASSERT_EQ(tcp.examples.size(), 16u);
  EXPECT_EQ(tcp.examples[0].fd, 49);
  EXPECT_EQ(tcp.oldest_birth_ms, kStartedMs + 100);
  EXPECT_EQ(out.handle_sites[1].examples[0].label, "/etc/x");
  EXPECT_EQ(out.threads[out.handle_sites[1].threads[0].thread].name, "io");
  EXPECT_EQ(out.handle_totals.open, 41u);
  EXPECT_EQ(out.handles_by_type[static_cast<size_t>(HandleType::kTcp)], 40u);
}

TEST(LedgerHandles, ManyBirthsAreThinnedEvenlyAndKeepTheirEnds) {
  PageBuilder pages;
  const uint32_t stack = pages.AddStack({0x1100});
  for (int i = 0; i < 3000; ++i) pages.AddHandle({.fd = 10 + i, .stack = stack, .tick = 100u + i / 10});
  const Snapshot out = Subject(&pages).Capture(nullptr);
  const std::vector<int64_t>& births = out.handle_sites[0].births_ms;
  EXPECT_EQ(births.size(), 512u);
  EXPECT_EQ(births.front(), kStartedMs + 1000);
  EXPECT_EQ(births.back(), kStartedMs + 3990);
  EXPECT_EQ(out.handle_sites[0].open, 3000u);
}

// The guest dates what it opens after a burst with the burst's tick.
TEST(LedgerHandles, WhatWasNotOpenAtTheLastCaptureWasOpenedAfterIt) {
  PageBuilder pages;
  const uint32_t stack = pages.AddStack({0x1100});
  pages.AddHandle({.fd = 5, .stack = stack, .tick = 50});
  const HandleSpec opened_late{.fd = 6, .stack = stack, .tick = 60, .generation = 2};
  const HandleSpec dated_right{.fd = 7, .stack = stack, .tick = 1500, .generation = 2};
  const uint64_t late = pages.AddHandle({.fd = 6, .stack = stack, .tick = 40, .state = SlotState::kDead});
  const uint64_t right = pages.AddHandle({.fd = 7, .stack = stack, .tick = 40});
  Subject subject(&pages);
  EXPECT_EQ(subject.Capture(nullptr).handle_sites[0].births_ms, (std::vector<int64_t>{kStartedMs + 400, kStartedMs + 500}));
  subject.Change(late, opened_late);
  subject.Change(right, dated_right);
  const std::vector<int64_t> mended{kStartedMs + 500, kStartedMs + 10'010, kStartedMs + 15'000};
  EXPECT_EQ(subject.Capture(nullptr).handle_sites[0].births_ms, mended);
  EXPECT_EQ(subject.Capture(nullptr).handle_sites[0].births_ms, mended);
}

TEST(LedgerHandles, ASiteWithNothingOpenKeepsItsTotalsAndType) {
  PageBuilder pages;
  const uint32_t stack = pages.AddStack({0x1100});
  pages.AddHandle({.fd = 5, .type = Wire::kPipe, .stack = stack, .state = SlotState::kDead});
  pages.AddHandleTally(stack, 8, 8, 2);
  const Snapshot out = Subject(&pages).Capture(nullptr);
  ASSERT_EQ(out.handle_sites.size(), 1u);
  EXPECT_EQ(out.handle_sites[0].type, HandleType::kPipe);
  EXPECT_EQ(out.handle_sites[0].open, 0u);
  EXPECT_EQ(out.handle_sites[0].closed, 8u);
}

TEST(LedgerHandles, ATallyThatHasCountedNothingIsNoRow) {
  PageBuilder pages;
  pages.AddHandleTally(pages.AddStack({0x1100}), 0, 0, 0);
  EXPECT_TRUE(Subject(&pages).Capture(nullptr).handle_sites.empty());
}

TEST(LedgerHandles, TheKernelRefinesTypeAndLabelAndDeathKeepsThem) {
  PageBuilder pages;
  pages.AddHandle({.fd = 5, .type = Wire::kSocket, .stack = pages.AddStack({0x1100})});
  Subject subject(&pages);
  const std::vector<KernelHandle> kernel{Kernel(5, HandleType::kTcp, "tcp 10.0.0.1:443")};
  EXPECT_EQ(subject.Capture(&kernel).handle_sites[0].type, HandleType::kTcp);
  const Snapshot dead = subject.Capture(nullptr, false);
  EXPECT_EQ(dead.handle_sites[0].type, HandleType::kTcp);
  EXPECT_EQ(dead.handle_sites[0].examples[0].label, "tcp 10.0.0.1:443");
}

TEST(LedgerHandles, AnUnseenCloseCountsAfterTwoCaptures) {
  PageBuilder pages;
  const uint32_t stack = pages.AddStack({0x1100});
  pages.AddHandle({.fd = 5, .stack = stack});
  pages.AddHandle({.fd = 6, .stack = stack});
  pages.AddHandleTally(stack, 2, 0, 2);
  Subject subject(&pages);
  const std::vector<KernelHandle> kernel{Kernel(6, HandleType::kFile, "/x")};
  const Snapshot first = subject.Capture(&kernel);
  EXPECT_EQ(first.handle_totals.open, 2u);
  EXPECT_EQ(first.handle_totals.vanished, 0u);
  const Snapshot second = subject.Capture(&kernel);
  EXPECT_EQ(second.handle_totals.open, 1u);
  EXPECT_EQ(second.handle_totals.vanished, 1u);
  EXPECT_EQ(second.handle_sites[0].closed, 1u);
  EXPECT_EQ(Sum(second), kernel.size());
  const Snapshot third = subject.Capture(&kernel);
  EXPECT_EQ(third.handle_totals.open, 1u);
  EXPECT_EQ(third.handle_totals.vanished, 1u);
}

TEST(LedgerHandles, AHandleOpenedAfterTheListWasReadIsNoSecondMiss) {
  PageBuilder pages;
  const uint64_t slot = pages.AddHandle({.fd = 5, .generation = 1});
  Subject subject(&pages);
  const std::vector<KernelHandle> none{Kernel(0, HandleType::kPty, "/dev/pts/0")};
  EXPECT_EQ(subject.Capture(&none).handle_totals.open, 1u);
  subject.Change(slot, {.fd = 5, .generation = 2});
  EXPECT_EQ(subject.Capture(&none).handle_totals.open, 1u);
}

TEST(LedgerHandles, RawDescriptorsAreUntrackedAtOnce) {
  PageBuilder pages;
  pages.AddHandle({.fd = 0, .type = Wire::kPty, .inode = 3}, AreaKind::kInheritedHandles);
  pages.AddHandle({.fd = 1, .type = Wire::kPty, .inode = 3}, AreaKind::kInheritedHandles);
  pages.AddHandle({.fd = 5, .stack = pages.AddStack({0x1100})});
  const std::vector<KernelHandle> kernel{
      Kernel(0, HandleType::kPty, "/dev/pts/0", 3), Kernel(1, HandleType::kFile, "/log", 99),
      Kernel(5, HandleType::kFile, "/x", 4), Kernel(7, HandleType::kEpoll, "epoll", 5)};
  const Snapshot out = Subject(&pages).Capture(&kernel);
  EXPECT_EQ(out.handle_totals.open, 1u);
  EXPECT_EQ(out.handle_totals.inherited, 1u);
  EXPECT_EQ(out.handle_totals.untracked, 2u);
  EXPECT_EQ(Sum(out), kernel.size());
}

TEST(LedgerHandles, ACloseBetweenTheListAndTheSlotsIsNotUntracked) {
  PageBuilder pages;
  pages.AddHandle({.fd = 9, .state = SlotState::kDead});
  Subject subject(&pages);
  const std::vector<KernelHandle> before{Kernel(9, HandleType::kFile, "/x", 11)};
  EXPECT_EQ(subject.Capture(&before).handle_totals.untracked, 0u);
  const std::vector<KernelHandle> other{Kernel(9, HandleType::kFile, "/y", 12)};
  EXPECT_EQ(subject.Capture(&other).handle_totals.untracked, 0u);
  EXPECT_EQ(subject.Capture(&other).handle_totals.untracked, 1u);
}

TEST(LedgerHandles, AnotherNatureUnderTheNumberTwiceIsUntracked) {
  PageBuilder pages;
  const uint32_t stack = pages.AddStack({0x1100});
  pages.AddHandle({.fd = 5, .type = Wire::kFile, .stack = stack});
  pages.AddHandleTally(stack, 1, 0, 1);
  Subject subject(&pages);
  const std::vector<KernelHandle> kernel{Kernel(5, HandleType::kTcp, "tcp 1.2.3.4:5", 8)};
  const Snapshot first = subject.Capture(&kernel);
  EXPECT_EQ(first.handle_totals.open, 1u);
  EXPECT_EQ(first.handle_sites[0].type, HandleType::kFile);
  const Snapshot second = subject.Capture(&kernel);
  EXPECT_EQ(second.handle_totals.open, 0u);
  ASSERT_EQ(second.untracked.size(), 1u);
  EXPECT_EQ(second.untracked[0].reason, "raw syscall");
  EXPECT_EQ(second.handle_sites[0].closed, 1u);
}

// One handle of number 5 with a call site, and what the kernel shows in captures one after the other. Open with a site at the end?
bool StaysWithItsSite(const HandleSpec& recorded, const std::vector<KernelHandle>& shown) {
  PageBuilder pages;
  HandleSpec spec = recorded;
  spec.fd = 5;
  spec.stack = pages.AddStack({0x1100});
  pages.AddHandle(spec);
  pages.AddHandleTally(spec.stack, 1, 0, 1);
  Subject subject(&pages);
  Snapshot out;
  for (const KernelHandle& entry : shown) {
    const std::vector<KernelHandle> kernel{entry};
    out = subject.Capture(&kernel);
    EXPECT_EQ(Sum(out), 1u);
  }
  return out.handle_totals.open == 1;
}

TEST(LedgerHandles, WhatWasOpenedOutOfSightUnderTheNumberIsNotTheOldOpeners) {
  const KernelHandle null = Kernel(5, HandleType::kDevice, "/dev/null", 9), hostname = Kernel(5, HandleType::kFile, "/etc/hostname", 7);
  const HandleSpec file{.type = Wire::kFile, .label = "/etc/hostname"}, device{.type = Wire::kDevice, .label = "/dev/null"};
  EXPECT_TRUE(StaysWithItsSite(file, {hostname, hostname, hostname}));
  EXPECT_TRUE(StaysWithItsSite(file, {null})) << "once may be a list that is older than the record";
  EXPECT_FALSE(StaysWithItsSite(file, {null, null}));
  EXPECT_FALSE(StaysWithItsSite(file, {hostname, null, null})) << "another inode than before";
  EXPECT_FALSE(StaysWithItsSite(device, {hostname, hostname}));
  EXPECT_FALSE(StaysWithItsSite({.type = Wire::kDirectory, .label = "/etc"}, {hostname, hostname}));
  const KernelHandle socket = Kernel(5, HandleType::kTcp, "tcp 1.2.3.4:5", 20), another = Kernel(5, HandleType::kTcp, "tcp 1.2.3.4:6", 21);
  EXPECT_TRUE(StaysWithItsSite({.type = Wire::kTcp}, {socket, socket}));
  EXPECT_FALSE(StaysWithItsSite({.type = Wire::kTcp}, {socket, another, another}));
}

TEST(LedgerHandles, ALinkMayLeadToAFileOrADirectoryAnywhere) {
  const KernelHandle directory = Kernel(5, HandleType::kDirectory, "/run", 7), file = Kernel(5, HandleType::kFile, "/usr/share/zoneinfo/UTC", 8);
  EXPECT_TRUE(StaysWithItsSite({.type = Wire::kFile, .label = "/var/run"}, {directory, directory}));
  EXPECT_TRUE(StaysWithItsSite({.type = Wire::kFile, .label = "/etc/localtime"}, {file, file}));
  EXPECT_TRUE(StaysWithItsSite({.type = Wire::kDevice, .label = "/dev/stdout"}, {file, file}));
  EXPECT_TRUE(StaysWithItsSite({.type = Wire::kFile, .label = "null"}, {Kernel(5, HandleType::kDevice, "/dev/null", 9), Kernel(5, HandleType::kDevice, "/dev/null", 9)}));
}

TEST(LedgerHandles, APathMayLeadToAFifo) {
  PageBuilder pages;
  pages.AddHandle({.fd = 5, .type = Wire::kFile});
  Subject subject(&pages);
  const std::vector<KernelHandle> kernel{Kernel(5, HandleType::kPipe, "/run/fifo")};
  subject.Capture(&kernel);
  const Snapshot out = subject.Capture(&kernel);
  EXPECT_EQ(out.handle_totals.open, 1u);
  EXPECT_EQ(out.handle_sites[0].type, HandleType::kPipe);
}

TEST(LedgerHandles, LeakhuntsOwnDescriptorsAreNowhere) {
  PageBuilder pages;
  pages.AddHandle({.fd = 1000, .type = Wire::kUnix, .flags = protocol::kHandleOwn});
  const std::vector<KernelHandle> kernel{Kernel(1000, HandleType::kUnix, "socket:[5]"),
                                         Kernel(1001, HandleType::kMemfd, "/memfd:leakhunt (deleted)")};
  EXPECT_EQ(Sum(Subject(&pages).Capture(&kernel)), 0u);
}

TEST(LedgerHandles, TheListAtExitIsFinal) {
  PageBuilder pages;
  pages.header().image_end = static_cast<uint32_t>(protocol::ImageEnd::kExit);
  pages.AddHandle({.fd = 0, .type = Wire::kPty, .inode = 3}, AreaKind::kInheritedHandles);
  const uint32_t stack = pages.AddStack({0x1100});
  pages.AddHandle({.fd = 5, .label = "conf/a", .stack = stack});
  pages.AddHandle({.fd = 6, .stack = stack});
  pages.AddHandle({.fd = 0, .type = Wire::kPty, .label = "/dev/pts/1", .inode = 3}, AreaKind::kHandlesAtExit);
  pages.AddHandle({.fd = 5, .label = "/srv/conf/a", .inode = 8}, AreaKind::kHandlesAtExit);
  pages.AddHandle({.fd = 9, .type = Wire::kSocket, .label = "socket:[7]", .inode = 7}, AreaKind::kHandlesAtExit);
  const Snapshot out = Subject(&pages).Capture(nullptr, false);
  EXPECT_EQ(out.handle_totals.open, 1u);
  EXPECT_EQ(out.handle_totals.vanished, 1u);
  EXPECT_EQ(out.handle_totals.inherited, 1u);
  EXPECT_EQ(out.handle_totals.untracked, 1u);
  EXPECT_EQ(out.handle_sites[0].examples[0].label, "conf/a");
}

TEST(LedgerHandles, AfterAKillTheSlotsAndTheLastListSpeak) {
  PageBuilder pages;
  pages.AddHandle({.fd = 5, .stack = pages.AddStack({0x1100})});
  Subject subject(&pages);
  const std::vector<KernelHandle> kernel{Kernel(0, HandleType::kPty, "/dev/pts/0"), Kernel(5, HandleType::kFile, "/x"),
                                         Kernel(8, HandleType::kFile, "/raw")};
  subject.Capture(&kernel);
  const Snapshot out = subject.Capture(nullptr, false);
  EXPECT_EQ(out.handle_totals.open, 1u);
  EXPECT_EQ(out.handle_totals.inherited, 1u);
  EXPECT_EQ(out.handle_totals.untracked, 1u);
}

TEST(LedgerHandles, AKillBeforeAnyListLeavesTheInheritedOnes) {
  PageBuilder pages;
  pages.AddHandle({.fd = 0, .type = Wire::kPty}, AreaKind::kInheritedHandles);
  pages.AddHandle({.fd = 1, .type = Wire::kPty, .state = SlotState::kDead}, AreaKind::kInheritedHandles);
  const Snapshot out = Subject(&pages).Capture(nullptr, false);
  EXPECT_EQ(out.handle_totals.inherited, 1u);
}

TEST(LedgerHandles, HandlesNobodyAskedForAreNotInvented) {
  PageBuilder pages;
  pages.header().track = protocol::kTrackHeap;
  const std::vector<KernelHandle> kernel{Kernel(4, HandleType::kFile, "/x")};
  const Snapshot out = Subject(&pages).Capture(&kernel);
  EXPECT_EQ(Sum(out), 0u);
  EXPECT_TRUE(out.untracked.empty());
}

}  // namespace
}  // namespace leakhunt::ledger
