// Call stacks are interned by content: read back as they were, told apart where they differ, shared where they do not.
#include "preload/core/stacks.h"

#include <memory>

#include "recorded_guest.h"

namespace leakhunt::core {
namespace {

using testing::RecordedGuest;

std::vector<uint64_t> Frames(uint64_t first, size_t count) {
  std::vector<uint64_t> frames(count);
  std::iota(frames.begin(), frames.end(), first);
  return frames;
}

uint32_t Intern(const std::vector<uint64_t>& frames) {
  return InternStack(nullptr, frames.data(), static_cast<uint32_t>(frames.size()), 0);
}

std::vector<uint64_t> Read(uint32_t stack) {
  std::vector<uint64_t> frames(protocol::kMaxFrames);
  frames.resize(ReadStack(g_process.pages, stack, frames.data(), protocol::kMaxFrames));
  return frames;
}

class Depths : public ::testing::TestWithParam<size_t> {};

TEST_P(Depths, AStackReadsBackAsItWas) {
  RecordedGuest guest;
  const std::vector<uint64_t> frames = Frames(0x40'0000, GetParam());
  const uint32_t stack = Intern(frames);
  ASSERT_NE(stack, 0u);
  EXPECT_EQ(Read(stack), frames);
  EXPECT_EQ(Intern(frames), stack) << "the same content is the same stack";
}

TEST_P(Depths, AStackThatDiffersInOneFrameIsAnother) {
  RecordedGuest guest;
  const std::vector<uint64_t> frames = Frames(0x40'0000, GetParam());
  const uint32_t stack = Intern(frames);
  for (size_t frame = 0; frame < frames.size(); ++frame) {
    std::vector<uint64_t> other = frames;
    other[frame] += 0x1000;
    EXPECT_NE(Intern(other), stack) << "frame " << frame;
    EXPECT_EQ(Read(Intern(other)), other);
  }
}

// Records hold 16 frames: one less, one more, and the most.
INSTANTIATE_TEST_SUITE_P(Stacks, Depths, ::testing::Values(1, 2, 15, 16, 17, 31, 32, 33, 100, protocol::kMaxFrames));

TEST(Stacks, OuterFramesAreStoredOnce) {
  RecordedGuest guest;
  std::vector<uint64_t> frames = Frames(0x40'0000, 48);
  uint64_t last = protocol::StackOffset(Intern(frames));
  for (uint64_t i = 0; i < 20; ++i) {
    frames[0] = 0x50'0000 + i;  // the innermost alone differs
    const uint64_t offset = protocol::StackOffset(Intern(frames));
    EXPECT_EQ(offset - last, sizeof(protocol::StackRecord) + 16 * sizeof(uint64_t));
    last = offset;
  }
}

TEST(Stacks, AThreadsLastStackGivesTheSameReferencesAsNone) {
  RecordedGuest guest;
  auto last = std::make_unique<LastStack>();
  for (uint64_t i = 0; i < 200; ++i) {
    std::vector<uint64_t> frames = Frames(0x40'0000, 20 + i % 40);
    frames[i % frames.size()] += i % 3;
    const uint32_t with = InternStack(last.get(), frames.data(), static_cast<uint32_t>(frames.size()), 0);
    EXPECT_EQ(with, Intern(frames));
    EXPECT_EQ(Read(with), frames);
  }
}

TEST(Stacks, ACutStackIsNotTheWholeOne) {
  RecordedGuest guest;
  const std::vector<uint64_t> frames = Frames(0x40'0000, 32);
  const uint32_t whole = InternStack(nullptr, frames.data(), 32, 0);
  const uint32_t cut = InternStack(nullptr, frames.data(), 32, protocol::kStackTruncated);
  EXPECT_NE(whole, cut);
  EXPECT_EQ(Read(whole), Read(cut));
}

TEST(Stacks, TheUnknownStackHasNoFrames) {
  RecordedGuest guest;
  EXPECT_NE(UnknownStack(), 0u);
  EXPECT_TRUE(Read(UnknownStack()).empty());
}

TEST(Stacks, ABlocksStackNamesTheFunctionThatAllocated) {
  RecordedGuest guest;
  testing::Born(0x7000'0000'1000, 10);
  const snapshot::Snapshot seen = guest.Capture();
  ASSERT_EQ(seen.sites.size(), 1u);
  const snapshot::Stack& stack = seen.stacks[seen.sites[0].stack];
  ASSERT_FALSE(stack.frames.empty());
  const snapshot::Frame& innermost = seen.frames[stack.frames[0]];
  ASSERT_NE(innermost.module, snapshot::kNoModule);
  EXPECT_NE(seen.modules[innermost.module].path.find("lh_guest_core_tests"), std::string::npos);
  const uint64_t born = reinterpret_cast<uint64_t>(&testing::Born) - seen.modules[innermost.module].bias;
  EXPECT_GE(innermost.offset, born);
  EXPECT_LT(innermost.offset, born + 400);
}

}  // namespace
}  // namespace leakhunt::core
