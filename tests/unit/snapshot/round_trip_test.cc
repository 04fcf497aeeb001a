#include <gtest/gtest.h>
#include <sys/stat.h>

#include "collector/snapshot/message.h"
#include "collector/snapshot/recording.h"
#include "tests/unit/snapshot/sample.h"
#include "tests/unit/snapshot/temporary_directory.h"

namespace leakhunt::snapshot {
namespace {

using leakhunt::testing::SampleSnapshot;
using leakhunt::testing::TemporaryDirectory;

Snapshot ThroughFile(const Snapshot& snapshot) {
  TemporaryDirectory directory;
  Status written = WriteSnapshot(snapshot, directory.Path() / "snapshot-000001.lhs");
  EXPECT_TRUE(written) << written.error().message;
  Result<Snapshot> read = ReadSnapshot(directory.Path() / "snapshot-000001.lhs");
  if (!read) {
    ADD_FAILURE() << read.error().message;
    return {};
  }
  return *read;
}

TEST(RoundTrip, MessageOfWhatWasReadIsByteForByteWhatWasWritten) {
  Snapshot sample = SampleSnapshot();
  EXPECT_EQ(EncodeMessage(ThroughFile(sample)), EncodeMessage(sample));
}

TEST(RoundTrip, ProcessKeepsEveryField) {
  ProcessInfo p = ThroughFile(SampleSnapshot()).process, was = SampleSnapshot().process;
  EXPECT_EQ(p.pid, was.pid);
  EXPECT_EQ(p.parent_pid, was.parent_pid);
  EXPECT_EQ(p.name, was.name);
  EXPECT_EQ(p.executable, was.executable);
  EXPECT_EQ(p.command, was.command);
  EXPECT_EQ(p.started_ms, was.started_ms);
  EXPECT_EQ(p.ended_ms, was.ended_ms);
  EXPECT_EQ(p.end, was.end);
  EXPECT_EQ(p.exit_status, was.exit_status);
  EXPECT_EQ(p.signal, was.signal);
  EXPECT_EQ(p.image, was.image);
  EXPECT_EQ(p.replaced_by_exec, was.replaced_by_exec);
  EXPECT_EQ(p.previous, was.previous);
  EXPECT_EQ(p.forked_from_pid, was.forked_from_pid);
  EXPECT_EQ(p.uid, was.uid);
  EXPECT_EQ(p.host, was.host);
  EXPECT_EQ(p.flags, was.flags);
  EXPECT_EQ(p.run_id, was.run_id);
  EXPECT_EQ(p.run_started_ms, was.run_started_ms);
  EXPECT_EQ(p.run_first, was.run_first);
}

TEST(RoundTrip, SitesKeepFiguresCohortsAndLifetimes) {
  Site s = ThroughFile(SampleSnapshot()).sites.at(0), was = SampleSnapshot().sites.at(0);
  EXPECT_EQ(s.live_bytes.value, was.live_bytes.value);
  EXPECT_EQ(s.live_bytes.variance, was.live_bytes.variance);
  EXPECT_EQ(s.total_count.largest_weight, was.total_count.largest_weight);
  EXPECT_EQ(s.live_count.moved_up, 20);
  EXPECT_EQ(s.lifetimes, was.lifetimes);
  ASSERT_EQ(s.cohorts.size(), 2u);
  EXPECT_EQ(s.cohorts[1].live_bytes, 600'000);
  EXPECT_EQ(s.threads.at(0).thread, 1u);
  EXPECT_TRUE(s.inherited);
}

TEST(RoundTrip, DescriptorZeroAndMinusOneStayApart) {
  Snapshot sample = SampleSnapshot();
  sample.untracked[1].fd = -1;
  Snapshot s = ThroughFile(sample);
  EXPECT_EQ(s.untracked.at(0).fd, 0);
  EXPECT_EQ(s.untracked.at(1).fd, -1);
  EXPECT_EQ(s.handle_sites.at(0).examples.at(0).fd, 7);
}

TEST(RoundTrip, FrameWithoutModuleStaysWithout) {
  Snapshot s = ThroughFile(SampleSnapshot());
  EXPECT_EQ(s.frames, SampleSnapshot().frames);
  EXPECT_EQ(s.frames.at(3).module, kNoModule);
  EXPECT_EQ(s.stacks.at(2).frames, (std::vector<uint32_t>{3, 1}));
}

TEST(RoundTrip, EmptySnapshotReadsBackWithTheUnknownStack) {
  Snapshot s = ThroughFile(Snapshot{});
  EXPECT_EQ(s.stacks.size(), 1u);
  EXPECT_EQ(s.scopes.size(), 1u);
  EXPECT_EQ(s.process.exit_status, std::nullopt);
  EXPECT_EQ(s.sampling.mean_bytes, 1u);
}

TEST(RoundTrip, FileIsPrivateAndNothingElseIsLeft) {
  TemporaryDirectory directory;
  ASSERT_TRUE(WriteSnapshot(SampleSnapshot(), directory.Path() / "snapshot-000001.lhs"));
  struct stat status;
  ASSERT_EQ(::stat((directory.Path() / "snapshot-000001.lhs").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, 0600u);
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(directory.Path()), {}), 1);
}

TEST(RoundTrip, WriterRefusesWhatNoReaderAccepts) {
  TemporaryDirectory directory;
  Snapshot sample = SampleSnapshot();
  sample.sites[0].stack = 77;
  Status written = WriteSnapshot(sample, directory.Path() / "snapshot-000001.lhs");
  ASSERT_FALSE(written);
  EXPECT_NE(written.error().message.find("site 0 names stack 77 of 4"), std::string::npos) << written.error().message;
  EXPECT_TRUE(std::filesystem::is_empty(directory.Path()));
}

TEST(RoundTrip, UnwritableDirectoryIsOneError) {
  Status written = WriteSnapshot(SampleSnapshot(), "/proc/none/snapshot-000001.lhs");
  ASSERT_FALSE(written);
  EXPECT_NE(written.error().message.find("cannot create /proc/none/"), std::string::npos) << written.error().message;
}

}  // namespace
}  // namespace leakhunt::snapshot
