// Pages of a guest that means harm: refused or survived, counted, and never more than they cost to write.
#include <gtest/gtest.h>

#include <algorithm>
#include <ctime>
#include <random>

#include "collector/base/turns.h"
#include "collector/ledger/handle_slots.h"
#include "collector/ledger/ledger.h"
#include "collector/ledger/page_directory.h"
#include "collector/ledger/page_file.h"
#include "collector/ledger/slot_copier.h"
#include "page_builder.h"
#include "whole_capture.h"

namespace leakhunt::ledger {
namespace {

using snapshot::Snapshot;
using testing::PageBuilder;

std::string OpenError(UniqueFd fd) {
  Result<std::unique_ptr<ProcessLedger>> ledger = ProcessLedger::Open(std::move(fd));
  return ledger ? "" : ledger.error().message;
}

Snapshot Capture(UniqueFd fd, bool alive = false) {
  Result<std::unique_ptr<ProcessLedger>> ledger = ProcessLedger::Open(std::move(fd));
  EXPECT_TRUE(ledger) << ledger.error().message;
  Snapshot out;
  CaptureOptions options;
  options.process_alive = alive;
  options.now_ms = testing::kStartedMs + 1000;
  EXPECT_TRUE(testing::CaptureWhole(**ledger, options, &out));
  return out;
}

// A healthy stack and block, so that each test can see that one defect costs only what it spoils.
uint32_t AddHealthy(PageBuilder* pages) {
  const uint32_t stack = pages->AddStack({0x1100});
  pages->AddRecord({.size = 77, .stack = stack});
  return stack;
}

void ExpectHealthy(const Snapshot& out) {
  double bytes = 0;
  for (const snapshot::Site& site : out.sites) {
    if (site.stack != 0) bytes += site.live_bytes.value;
  }
  EXPECT_EQ(bytes, 77);
}

TEST(PageHostile, OtherVersionsAndStrangersAreRefusedWithTheReason) {
  PageBuilder other_version, no_magic, unsealed;
  other_version.header().version = 9;
  no_magic.header().magic = 1;
  EXPECT_NE(OpenError(other_version.Seal()).find("version 9"), std::string::npos);
  EXPECT_NE(OpenError(no_magic.Seal()).find("no process header"), std::string::npos);
  EXPECT_NE(OpenError(unsealed.Seal(0, 0)).find("sealed"), std::string::npos);
  EXPECT_NE(OpenError(PageBuilder().Seal(5000)).find("too short"), std::string::npos);
  EXPECT_NE(OpenError(UniqueFd(::open("/dev/null", O_RDONLY))), "");
  EXPECT_NE(OpenError(UniqueFd(::open("/proc/self/exe", O_RDONLY))), "");
  EXPECT_NE(OpenError(UniqueFd(-1)), "");
}

TEST(PageHostile, NoMoreHandlesAreTakenThanTheProcessMayHaveOpen) {
  constexpr int kSaid = 5000;
  constexpr uint64_t kMay = 1024;
  PageBuilder pages;
  const uint32_t stack = pages.AddStack({0x1100});
  for (int fd = 0; fd < kSaid; ++fd) {
    pages.AddHandle({.fd = fd, .stack = stack});
    pages.AddHandle({.fd = fd, .stack = stack}, protocol::AreaKind::kInheritedHandles);
    pages.AddHandle({.fd = fd, .stack = stack}, protocol::AreaKind::kHandlesAtExit);
  }
  Result<std::unique_ptr<ProcessLedger>> ledger = ProcessLedger::Open(pages.Seal());
  ASSERT_TRUE(ledger);
  CaptureOptions options;
  options.process_alive = false;
  options.most_handles = kMay;
  options.now_ms = testing::kStartedMs + 1000;
  Snapshot out;
  ASSERT_TRUE(testing::CaptureWhole(**ledger, options, &out));
  EXPECT_EQ(out.handle_totals.open, kMay);
  EXPECT_EQ(out.losses.invalid_records, 3 * (kSaid - kMay));
}

TEST(PageHostile, AllListsOfHandlesTogetherHaveABound) {
  PageBuilder pages;
  const uint32_t stack = pages.AddStack({0x1100});
  for (int fd = 0; fd < 40; ++fd) {
    pages.AddHandle({.fd = fd, .stack = stack});
    pages.AddHandle({.fd = fd, .stack = stack}, protocol::AreaKind::kInheritedHandles);
    pages.AddHandle({.fd = fd, .stack = stack}, protocol::AreaKind::kHandlesAtExit);
  }
  Result<PageFile> file = PageFile::Open(pages.Seal());
  ASSERT_TRUE(file);
  SlotCopier copier(*file, PageWriter::kGone);
  const HandleSighting seen = ReadHandles(&copier, PageDirectory::Read(*file, 1), 1000, 100);
  EXPECT_EQ(seen.inherited.size() + seen.at_exit.size(), 60u);
  EXPECT_EQ(seen.refused, 20u);
}

// Half a million areas that are holes: no turn is long, however few bytes there are to read. In processor time, which a
// busy machine does not lengthen.
TEST(PageHostile, AreasThatAreHolesAreLookedAtInTurns) {
  constexpr uint64_t kExtents = 2048;
  PageBuilder pages;
  AddHealthy(&pages);
  pages.OverrideExtents(kExtents);
  UniqueFd fd = pages.Seal(kExtents * protocol::kExtentBytes);
  for (uint64_t extent = 1; extent < kExtents; ++extent) {
    protocol::ExtentHeader header{};
    header.magic = protocol::kExtentMagic;
    header.index = static_cast<uint32_t>(extent);
    for (auto& page : header.pages) page.word0 = protocol::PackDescriptor(protocol::AreaKind::kHandles, 1);
    ASSERT_EQ(::pwrite(fd.Get(), &header, sizeof(header), static_cast<off_t>(extent * protocol::kExtentBytes)),
              static_cast<ssize_t>(sizeof(header)));
  }
  const auto processor_ms = [] { return static_cast<double>(std::clock()) * 1000 / CLOCKS_PER_SEC; };
  Turns turns([&] { ExpectHealthy(Capture(std::move(fd), true)); });
  double longest_ms = 0;
  for (bool done = false; !done;) {
    const double begun_ms = processor_ms();
    done = turns.Run();
    longest_ms = std::max(longest_ms, processor_ms() - begun_ms);
  }
  EXPECT_LT(longest_ms, 60);
}

TEST(PageHostile, ATruncatedFileCostsWhatIsMissing) {
  PageBuilder pages;
  AddHealthy(&pages);
  pages.AddArea(protocol::AreaKind::kRecords, 200);
  pages.AddArea(protocol::AreaKind::kRecords, 200);
  pages.OverrideExtents(500);
  const Snapshot out = Capture(pages.Seal(protocol::kExtentBytes + 100 * protocol::kPageBytes));
  ExpectHealthy(out);
  EXPECT_GT(out.losses.invalid_records, 0u);
}

TEST(PageHostile, AreasThatLeaveTheirExtentAreRefused) {
  PageBuilder pages;
  AddHealthy(&pages);
  const uint64_t area = pages.AddArea(protocol::AreaKind::kRecords, 1);
  const uint64_t descriptor = area / protocol::kPageBytes * sizeof(protocol::PageDescriptor);
  for (const uint32_t length : {0u, 250u, 0xFFFFu}) {
    pages.Put(descriptor, protocol::PackDescriptor(protocol::AreaKind::kRecords, length));
    const Snapshot out = Capture(pages.Seal());
    ExpectHealthy(out);
    EXPECT_EQ(out.losses.invalid_records, 1u) << length;
  }
}

TEST(PageHostile, ADescriptorInsideAnotherAreaIsNotRead) {
  PageBuilder pages;
  const uint32_t stack = pages.AddStack({0x1100});
  const uint64_t slot = pages.AddRecord({.size = 77, .stack = stack});
  const uint64_t inside = (slot / protocol::kPageBytes + 0) * sizeof(protocol::PageDescriptor);
  pages.Put(inside + sizeof(protocol::PageDescriptor), protocol::PackDescriptor(protocol::AreaKind::kRecords, 1));
  pages.Put(slot + protocol::kPageBytes, PageBuilder::MakeRecord({.size = 1, .stack = stack}, 9));
  const Snapshot out = Capture(pages.Seal());
  EXPECT_EQ(out.sites[0].live_bytes.value, 78);
  EXPECT_EQ(out.sites[0].live_count.value, 2);
}

TEST(PageHostile, UnknownKindsOfAreaAreSkipped) {
  PageBuilder pages;
  pages.AddArea(static_cast<protocol::AreaKind>(15), 3);
  pages.AddArea(static_cast<protocol::AreaKind>(200), 3);
  AddHealthy(&pages);
  const Snapshot out = Capture(pages.Seal());
  ExpectHealthy(out);
  EXPECT_EQ(out.losses.invalid_records, 0u);
}

TEST(PageHostile, AnExtentWithoutItsMagicOrOutOfPlaceIsRefused) {
  PageBuilder pages;
  AddHealthy(&pages);
  pages.AddArea(protocol::AreaKind::kRecords, 255);
  pages.AddArea(protocol::AreaKind::kRecords, 255);
  pages.Put(protocol::kExtentBytes, uint32_t{7});
  pages.Put(2 * protocol::kExtentBytes + 4, uint32_t{1});
  const Snapshot out = Capture(pages.Seal());
  ExpectHealthy(out);
  EXPECT_EQ(out.losses.invalid_records, 2u);
}

TEST(PageHostile, ParentsThatRunInCirclesEndAsTheUnknownStack) {
  PageBuilder pages;
  AddHealthy(&pages);
  const uint32_t first = pages.AddStack({0x2000});
  const uint32_t second = pages.AddStack({0x3000}, first);
  const uint32_t self = pages.AddStack({0x4000});
  pages.Put(protocol::StackOffset(first) + offsetof(protocol::StackRecord, parent), second);
  pages.Put(protocol::StackOffset(self) + offsetof(protocol::StackRecord, parent), self);
  pages.AddRecord({.size = 1, .stack = first});
  pages.AddRecord({.size = 2, .stack = second});
  pages.AddRecord({.size = 4, .stack = self});
  const Snapshot out = Capture(pages.Seal());
  ExpectHealthy(out);
  EXPECT_EQ(out.losses.invalid_records, 3u);
  EXPECT_EQ(out.sites.back().stack, 0u);
  EXPECT_EQ(out.sites.back().live_bytes.value, 7);
}

TEST(PageHostile, LongChainsOfEmptyRecordsAreCut) {
  PageBuilder pages;
  AddHealthy(&pages);
  uint32_t stack = 0;
  for (int i = 0; i < 20'000; ++i) stack = pages.AddStack({}, stack);
  pages.AddRecord({.size = 1, .stack = stack});
  ExpectHealthy(Capture(pages.Seal()));
}

TEST(PageHostile, StackReferencesOutsideTheArenaAreUnknown) {
  PageBuilder pages;
  const uint32_t stack = AddHealthy(&pages);
  for (const uint32_t reference : {1u, 512u, stack + 5000, 0xFFFF'FFFFu}) {
    pages.AddRecord({.size = 1, .stack = reference});
  }
  const Snapshot out = Capture(pages.Seal());
  ExpectHealthy(out);
  EXPECT_EQ(out.losses.invalid_records, 4u);
}

TEST(PageHostile, AStackWithMoreFramesThanItsAreaIsUnknown) {
  PageBuilder pages;
  AddHealthy(&pages);
  const uint32_t bad = pages.AddStack({0x2000});
  for (const uint16_t frames : {uint16_t{128}, uint16_t{129}, uint16_t{0xFFFF}}) {
    pages.Put(protocol::StackOffset(bad) + offsetof(protocol::StackRecord, frames), frames);
    PageBuilder copy = pages;
    copy.AddRecord({.size = 1, .stack = bad});
    const Snapshot out = Capture(copy.Seal());
    ExpectHealthy(out);
    EXPECT_EQ(out.losses.invalid_records, 1u) << frames;
  }
}

TEST(PageHostile, ModuleRecordsWithImpossibleLengthsEndTheirArea) {
  for (const uint16_t record_bytes : {0, 8, 41, 0xFFF8}) {
    PageBuilder pages;
    AddHealthy(&pages);
    pages.AddModule(0x1000, 0x2000, 0, "\x01", "/good");
    const uint64_t bad = pages.AddModule(0x3000, 0x4000, 0, "\x02", "/bad");
    pages.AddModule(0x5000, 0x6000, 0, "\x03", "/after");
    pages.Put(bad + offsetof(protocol::ModuleRecord, record_bytes), record_bytes);
    const Snapshot out = Capture(pages.Seal());
    ExpectHealthy(out);
    ASSERT_EQ(out.modules.size(), 1u) << record_bytes;
    EXPECT_EQ(out.losses.invalid_records, 1u);
  }
}

TEST(PageHostile, AppendAreasThatClaimMoreThanTheyHaveAreCut) {
  PageBuilder pages;
  AddHealthy(&pages);
  const uint64_t modules = pages.AddModule(0x1000, 0x2000, 0, "\x01", "/good") - sizeof(protocol::AppendHeader);
  pages.Put(modules, ~uint64_t{0});
  const Snapshot out = Capture(pages.Seal());
  ExpectHealthy(out);
  EXPECT_EQ(out.modules.size(), 1u);
  EXPECT_GE(out.losses.invalid_records, 1u);
}

TEST(PageHostile, RecordsOfNoKindOrStateAreCounted) {
  PageBuilder pages;
  AddHealthy(&pages);
  pages.AddRecord({.size = 1, .kind = static_cast<protocol::BlockKind>(9)});
  pages.AddRecord({.size = 1, .state = static_cast<protocol::SlotState>(77)});
  const Snapshot out = Capture(pages.Seal());
  ExpectHealthy(out);
  EXPECT_EQ(out.losses.invalid_records, 2u);
}

TEST(PageHostile, TalliesThatAreNoNumbersAreRefused) {
  PageBuilder pages;
  const uint32_t stack = AddHealthy(&pages);
  pages.AddTally({.stack = stack, .samples = 1, .born_bytes_variance = -1});
  pages.AddTally({.stack = stack, .samples = 1, .born_count_variance = std::nan("")});
  pages.AddTally({.stack = stack, .kind = static_cast<protocol::BlockKind>(50), .samples = 1});
  const Snapshot out = Capture(pages.Seal());
  ExpectHealthy(out);
  EXPECT_EQ(out.losses.invalid_records, 3u);
  EXPECT_EQ(out.sites[0].total_bytes.value, 77);
}

TEST(PageHostile, ASparseFileOfThirtyTwoGibibytesIsReadInNoTime) {
  PageBuilder pages;
  AddHealthy(&pages);
  pages.OverrideExtents(0xFFFF'FFFF);
  const Snapshot out = Capture(pages.Seal(protocol::kMaxExtents * protocol::kExtentBytes), true);
  ExpectHealthy(out);
}

TEST(PageHostile, HugeTimesAndCountsInTheHeaderDoNoHarm) {
  PageBuilder pages;
  AddHealthy(&pages);
  protocol::ProcessHeader& header = pages.header();
  header.started_realtime_ns = std::numeric_limits<int64_t>::min();
  header.started_ns = ~uint64_t{0};
  header.activity_points = header.sampling_points = header.command_bytes = 0xFFFF'FFFF;
  for (protocol::ActivityPoint& point : header.activity) point = {~uint64_t{0}, ~uint64_t{0}};
  for (protocol::SamplingPoint& point : header.sampling) point = {1, ~uint64_t{0}};
  std::memset(header.name, 'x', sizeof(header.name));
  std::memset(header.executable, 'x', sizeof(header.executable));
  std::memset(header.command, 'x', sizeof(header.command));
  const Snapshot out = Capture(pages.Seal());
  ExpectHealthy(out);
  EXPECT_EQ(out.process.name.size(), sizeof(header.name) - 1);
  EXPECT_EQ(out.process.command.size(), 1u);
}

TEST(PageHostile, AnyBytesInTheFirstExtentAreSurvived) {
  std::mt19937_64 random(20240607);
  for (int round = 0; round < 300; ++round) {
    PageBuilder pages;
    const uint32_t stack = AddHealthy(&pages);
    pages.AddModule(0x1000, 0x2000, 0, "\x01", "/good");
    pages.AddTally({.stack = stack, .samples = 3});
    pages.AddHandle({.fd = 5, .stack = stack});
    pages.AddHandleTally(stack, 2, 1, 2);
    pages.AddThread(1, 77, "t", 0, 0);
    pages.AddScope(1, "s");
    std::vector<uint8_t> bytes = pages.Content();
    const uint64_t used = 120 * protocol::kPageBytes;
    for (int hit = 0; hit < 200; ++hit) {
      uint64_t at = random() % used;
      if (at >= protocol::kPageBytes && at < protocol::kPageBytes + 8) continue;  // magic and version
      bytes[at] = static_cast<uint8_t>(random());
    }
    Capture(PageBuilder::SealBytes(bytes), round % 2 == 0);
  }
}

}  // namespace
}  // namespace leakhunt::ledger
