// Stacks: deltas, epochs, modules, frames, and identity across processes.
#include <gtest/gtest.h>

#include "collector/ledger/ledger.h"
#include "page_builder.h"
#include "whole_capture.h"

namespace leakhunt::ledger {
namespace {

using snapshot::Frame;
using snapshot::Snapshot;
using testing::PageBuilder;

Snapshot Capture(PageBuilder* pages) {
  Result<std::unique_ptr<ProcessLedger>> ledger = ProcessLedger::Open(pages->Seal());
  EXPECT_TRUE(ledger) << ledger.error().message;
  Snapshot out;
  CaptureOptions options;
  options.process_alive = false;
  options.now_ms = testing::kStartedMs + 1000;
  EXPECT_TRUE(testing::CaptureWhole(**ledger, options, &out));
  return out;
}

std::vector<Frame> FramesOf(const Snapshot& out, uint32_t stack) {
  std::vector<Frame> frames;
  for (const uint32_t frame : out.stacks[stack].frames) frames.push_back(out.frames[frame]);
  return frames;
}

TEST(LedgerStacks, AReturnAddressAtAModulesEndBelongsToIt) {
  PageBuilder pages;
  pages.AddModule(0x1000, 0x2000, 0x800, "\x01", "/a");
  pages.AddModule(0x2000, 0x3000, 0x2000, "\x02", "/b");
  const uint32_t stack = pages.AddStack({0x2000, 0x2000 | protocol::kFrameExactPc});
  pages.AddRecord({.size = 1, .stack = stack});
  const Snapshot out = Capture(&pages);
  const std::vector<Frame> frames = FramesOf(out, out.sites[0].stack);
  EXPECT_EQ(out.modules[frames[0].module].path, "/a");
  EXPECT_EQ(frames[0].offset, 0x1800u);
  EXPECT_EQ(frames[0].flags, 0);
  EXPECT_EQ(out.modules[frames[1].module].path, "/b");
  EXPECT_EQ(frames[1].offset, 0u);
  EXPECT_EQ(frames[1].flags, snapshot::kFrameExact);
}

TEST(LedgerStacks, AnAddressInNoModuleIsKeptAsItIs) {
  PageBuilder pages;
  const uint32_t stack = pages.AddStack({0x7FFF'1234'5678});
  pages.AddRecord({.size = 1, .stack = stack});
  const Snapshot out = Capture(&pages);
  const Frame frame = FramesOf(out, out.sites[0].stack)[0];
  EXPECT_EQ(frame.module, snapshot::kNoModule);
  EXPECT_EQ(frame.offset, 0x7FFF'1234'5678u);
}

TEST(LedgerStacks, TheEpochTellsLibrariesAtOneAddressApart) {
  PageBuilder pages;
  pages.AddModule(0x1000, 0x9000, 0x1000, "\x01", "/first", 0, 0);
  pages.AddModule(0x1000, 0x5000, 0x1000, "\x02", "/second", 1, 3);
  pages.AddModule(0x1000, 0x5000, 0x1000, "\x03", "/third", 4);
  for (const uint32_t epoch : {0, 1, 2, 3, 4, 9}) {
    pages.AddRecord({.size = 100 - epoch, .stack = pages.AddStack({0x1500}, 0, epoch)});
  }
  const Snapshot out = Capture(&pages);
  ASSERT_EQ(out.sites.size(), 3u);
  const auto path = [&](size_t site) { return out.modules[FramesOf(out, out.sites[site].stack)[0].module].path; };
  EXPECT_EQ(path(0), "/second");
  EXPECT_EQ(out.sites[0].live_count.value, 3);
  EXPECT_EQ(path(1), "/third");
  EXPECT_EQ(path(2), "/first");
}

TEST(LedgerStacks, UnloadedModulesNobodyNamesAreLeftOut) {
  PageBuilder pages;
  pages.AddModule(0x1000, 0x2000, 0, "\x01", "/gone", 0, 3);
  pages.AddModule(0x4000, 0x5000, 0, "\x02", "/here");
  const Snapshot out = Capture(&pages);
  ASSERT_EQ(out.modules.size(), 1u);
  EXPECT_EQ(out.modules[0].path, "/here");
}

TEST(LedgerStacks, ContentIsTheSameWhereverTheModuleWasLoaded) {
  uint64_t hashes[2];
  for (int i = 0; i < 2; ++i) {
    const uint64_t base = 0x10'0000 * (i + 1);
    PageBuilder pages;
    pages.AddModule(base, base + 0x1000, base, "\x01\x02\x03", i == 0 ? "/old/app" : "/new/app");
    pages.AddRecord({.size = 1, .stack = pages.AddStack({base + 0x10, base + 0x20})});
    const Snapshot out = Capture(&pages);
    hashes[i] = out.stacks[out.sites[0].stack].content_hash;
  }
  EXPECT_NE(hashes[0], 0u);
  EXPECT_EQ(hashes[0], hashes[1]);
}

TEST(LedgerStacks, DeepChainsAreCutAtTheGuestsLimitAndMarked) {
  PageBuilder pages;
  uint32_t stack = 0;
  for (uint64_t i = 0; i < protocol::kMaxFrames + 50; ++i) stack = pages.AddStack({0x1000 + i * 16}, stack);
  pages.AddRecord({.size = 1, .stack = stack});
  const Snapshot out = Capture(&pages);
  const snapshot::Stack& cut = out.stacks[out.sites[0].stack];
  EXPECT_EQ(cut.frames.size(), protocol::kMaxFrames);
  EXPECT_TRUE(cut.truncated);
  EXPECT_EQ(out.losses.invalid_records, 0u);
}

TEST(LedgerStacks, AnEmptyStackIsTheUnknownOne) {
  PageBuilder pages;
  pages.AddRecord({.size = 1, .stack = pages.AddStack({})});
  pages.AddRecord({.size = 2, .stack = 0});
  const Snapshot out = Capture(&pages);
  ASSERT_EQ(out.sites.size(), 1u);
  EXPECT_EQ(out.sites[0].stack, 0u);
  EXPECT_EQ(out.sites[0].live_bytes.value, 3);
  EXPECT_EQ(out.losses.invalid_records, 0u);
}

}  // namespace
}  // namespace leakhunt::ledger
