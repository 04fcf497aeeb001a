// What a reader says of files that are torn, foreign or hostile.
#include <gtest/gtest.h>
#include <xxhash.h>
#include <zstd.h>

#include <fstream>
#include <cmath>
#include <functional>

#include "collector/snapshot/file_header.h"
#include "collector/snapshot/message.h"
#include "collector/snapshot/reader.h"
#include "collector/snapshot/recording.h"
#include "tests/unit/snapshot/sample.h"
#include "tests/unit/snapshot/temporary_directory.h"

namespace leakhunt::snapshot {
namespace {

using leakhunt::testing::SampleSnapshot;
using leakhunt::testing::TemporaryDirectory;

std::string Compress(const std::string& message) {
  std::string payload(ZSTD_compressBound(message.size()), '\0');
  payload.resize(ZSTD_compress(payload.data(), payload.size(), message.data(), message.size(), 3));
  return payload;
}

// A file whose header is right for `message`, whatever the message is.
std::string FileOf(const std::string& message, std::function<void(FileHeader&)> change = [](FileHeader&) {}) {
  std::string payload = Compress(message);
  FileHeader header{1, 1000, payload.size(), message.size(), XXH3_64bits(payload.data(), payload.size())};
  change(header);
  return EncodeHeader(header) + payload;
}

std::string Defect(const std::string& bytes) {
  Result<Snapshot> read = ParseSnapshot(bytes, "x.lhs");
  return read ? "none" : read.error().message;
}

std::string Whole() { return FileOf(EncodeMessage(SampleSnapshot())); }

TEST(Defects, WholeFileHasNone) { EXPECT_EQ(Defect(Whole()), "none"); }

TEST(Defects, EveryTruncationIsSaidAsOne) {
  std::string whole = Whole();
  for (size_t size = 0; size < whole.size(); ++size) {
    std::string defect = Defect(whole.substr(0, size));
    if (size == 0) {
      EXPECT_EQ(defect, "cannot read x.lhs: the file is empty");
    } else if (size < 12) {
      EXPECT_NE(defect.find("truncated"), std::string::npos) << size << ": " << defect;
    } else {
      EXPECT_NE(defect.find("truncated at " + std::to_string(size)), std::string::npos) << size << ": " << defect;
    }
  }
}

TEST(Defects, TruncationNamesBothSizes) {
  std::string whole = Whole();
  EXPECT_EQ(Defect(whole.substr(0, 100)),
            "cannot read x.lhs: truncated at 100 of " + std::to_string(whole.size()) + " bytes");
}

TEST(Defects, EveryChangedByteIsNoticed) {
  std::string whole = Whole();
  for (size_t i = 0; i < whole.size(); ++i) {
    std::string changed = whole;
    changed[i] = static_cast<char>(changed[i] ^ 0x20);
    EXPECT_NE(Defect(changed), "none") << "byte " << i;
  }
}

TEST(Defects, ForeignFileIsNamedAsSuch) {
  EXPECT_EQ(Defect("\x7f" "ELF and so on, for more than sixty-four bytes of something else entirely"),
            "x.lhs is not a leakhunt snapshot");
  EXPECT_EQ(Defect("PK"), "x.lhs is not a leakhunt snapshot");
}

TEST(Defects, NewerFormatIsNamedAsSuch) {
  std::string newer = Whole();
  newer[8] = 3;
  EXPECT_EQ(Defect(newer), "x.lhs: written by a newer leakhunt (format 3; this one reads 1)");
}

TEST(Defects, TrailingBytesAreDamage) {
  EXPECT_EQ(Defect(Whole() + "!"), "cannot read x.lhs: damaged: 1 bytes follow its end");
}

TEST(Defects, PayloadLongerThanItSaysIsRefused) {
  std::string bytes = FileOf(std::string(1 << 20, 'a'), [](FileHeader& h) { h.message_bytes = 100; });
  EXPECT_EQ(Defect(bytes), "cannot read x.lhs: damaged: longer than it says");
}

TEST(Defects, PayloadShorterThanItSaysIsRefused) {
  std::string bytes = FileOf("abc", [](FileHeader& h) { h.message_bytes = 100; });
  EXPECT_EQ(Defect(bytes), "cannot read x.lhs: damaged: shorter than it says");
}

TEST(Defects, ClaimOfAGigabyteCostsNothing) {
  std::string bytes = FileOf("abc", [](FileHeader& h) { h.message_bytes = uint64_t{1} << 60; });
  EXPECT_EQ(Defect(bytes), "cannot read x.lhs: damaged: more than any recording has");
}

TEST(Defects, NotZstdIsRefused) {
  std::string payload = "this is not a zstd frame";
  FileHeader header{1, 1000, payload.size(), 10, XXH3_64bits(payload.data(), payload.size())};
  EXPECT_NE(Defect(EncodeHeader(header) + payload).find("damaged: "), std::string::npos);
}

TEST(Defects, NotProtobufIsRefused) {
  EXPECT_NE(Defect(FileOf("\xff\xff\xff\xff\xff")).find("damaged: "), std::string::npos);
  EXPECT_NE(Defect(FileOf(std::string("\x2a\x05\x08", 3))).find("damaged: "), std::string::npos);
}

// Two bytes each make a Site of some hundred bytes: the sum of what is made is bounded, not the input alone.
TEST(Defects, ManyEmptyEntriesAreRefusedBeforeTheyFillTheMemory) {
  std::string message;
  for (int i = 0; i < 3'000'000; ++i) message += std::string("\x6a\x00", 2);
  EXPECT_EQ(Defect(FileOf(message)), "cannot read x.lhs: damaged: more entries than any recording has");
}

TEST(Defects, FieldOfAnotherTypeIsSkipped) {
  // Field 1 (number) as a string, field 3 (reason) as a varint.
  EXPECT_EQ(Defect(FileOf(std::string("\x0a\x01\x41\x18\x05", 5))), "none");
}

TEST(Defects, UnknownFieldsAreSkipped) {
  std::string message = EncodeMessage(SampleSnapshot()) + std::string("\xc2\x3e\x03" "new", 6);  // field 1000
  Result<Snapshot> read = ParseSnapshot(FileOf(message), "x.lhs");
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(EncodeMessage(*read), EncodeMessage(SampleSnapshot()));
}

// proto3 does not tell a 0 that is written from none: both are an interval of 1, and stay so.
TEST(Defects, AnIntervalOfZeroIsOne) {
  const std::string zeros("\x32\x08\x10\x00\x2a\x04\x08\x02\x10\x00", 10);  // sampling: mean 0, since ms 1 mean 0
  const std::string none("\x32\x04\x2a\x02\x08\x02", 6);
  Result<Snapshot> read = ParseSnapshot(FileOf(zeros), "x.lhs");
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->sampling.mean_bytes, 1u);
  ASSERT_EQ(read->sampling.history.size(), 1u);
  EXPECT_EQ(read->sampling.history[0].time_ms, 1);
  EXPECT_EQ(read->sampling.history[0].mean_bytes, 1u);
  Result<Snapshot> absent = ParseSnapshot(FileOf(none), "x.lhs");
  ASSERT_TRUE(absent) << absent.error().message;
  EXPECT_EQ(EncodeMessage(*read), EncodeMessage(*absent));
}

struct Hostile {
  const char* name;
  void (*spoil)(Snapshot&);
  const char* reason;
};

class HostileIndex : public ::testing::TestWithParam<Hostile> {};

TEST_P(HostileIndex, IsRefused) {
  Snapshot s = SampleSnapshot();
  GetParam().spoil(s);
  EXPECT_EQ(Defect(FileOf(EncodeMessage(s))), std::string("cannot read x.lhs: damaged: ") + GetParam().reason);
}

INSTANTIATE_TEST_SUITE_P(
    Each, HostileIndex,
    ::testing::Values(
        Hostile{"FrameModule", [](Snapshot& s) { s.frames[1].module = 2; }, "frame 1 names module 2 of 2"},
        Hostile{"StackFrame", [](Snapshot& s) { s.stacks[2].frames[0] = 5; }, "stack 2 names frame 5 of 5"},
        Hostile{"SiteStack", [](Snapshot& s) { s.sites[0].stack = 4'000'000'000; }, "site 0 names stack 4000000000 of 4"},
        Hostile{"SiteScope", [](Snapshot& s) { s.sites[1].scope = 2; }, "site 1 names scope 2 of 2"},
        Hostile{"SiteKind", [](Snapshot& s) { s.sites[1].kind = static_cast<SiteKind>(9); }, "site 1 is of an unknown kind"},
        Hostile{"SiteThread", [](Snapshot& s) { s.sites[0].threads[0].thread = 2; }, "site 0 names thread 2 of 2"},
        Hostile{"NotANumber", [](Snapshot& s) { s.sites[0].live_bytes.value = std::nan(""); }, "site 0 has an impossible figure"},
        Hostile{"Infinite", [](Snapshot& s) { s.sites[0].total_bytes.variance = INFINITY; }, "site 0 has an impossible figure"},
        Hostile{"Negative", [](Snapshot& s) { s.sites[1].cohorts = {{0, 1, 1, -5, 1}}; }, "site 1 has an impossible figure"},
        Hostile{"HandleStack", [](Snapshot& s) { s.handle_sites[0].stack = 9; }, "handle site 0 names stack 9 of 4"},
        Hostile{"HandleType", [](Snapshot& s) { s.handle_sites[0].type = static_cast<HandleType>(77); },
                "handle site 0 is of an unknown type"},
        Hostile{"UntrackedType", [](Snapshot& s) { s.untracked[1].type = static_cast<HandleType>(22); },
                "untracked handle 1 is of an unknown type"},
        Hostile{"End", [](Snapshot& s) { s.process.end = static_cast<End>(9); }, "the process ended in an unknown way"}),
    [](const auto& info) { return info.param.name; });

TEST(Defects, MissingFileAndDirectoryAreOneLine) {
  TemporaryDirectory directory;
  Result<Snapshot> missing = ReadSnapshot(directory.Path() / "none.lhs");
  ASSERT_FALSE(missing);
  EXPECT_NE(missing.error().message.find("none.lhs: No such file or directory"), std::string::npos);
  Result<Snapshot> not_a_file = ReadSnapshot(directory.Path());
  ASSERT_FALSE(not_a_file);
  EXPECT_NE(not_a_file.error().message.find("not a file"), std::string::npos);
}

}  // namespace
}  // namespace leakhunt::snapshot
