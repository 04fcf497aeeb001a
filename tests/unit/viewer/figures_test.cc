// The small pure parts: units, slopes, names of frames, durations.
#include <gtest/gtest.h>

#include <sstream>

#include "tests/unit/snapshot/sample.h"
#include "viewer/frame_kind.h"
#include "viewer/growth.h"
#include "viewer/handle_rows.h"
#include "viewer/options.h"
#include "viewer/render/function_name.h"
#include "viewer/render/table.h"
#include "viewer/render/units.h"

namespace leakhunt::viewer {
namespace {

TEST(Units, BytesHaveThreeDigitsAndBinaryUnits) {
  EXPECT_EQ(Bytes(0), "0 B");
  EXPECT_EQ(Bytes(1), "1 B");
  EXPECT_EQ(Bytes(1023), "1023 B");
  EXPECT_EQ(Bytes(1024), "1.00 KiB");
  EXPECT_EQ(Bytes(1536), "1.50 KiB");
  EXPECT_EQ(Bytes(12.34 * 1024 * 1024), "12.3 MiB");
  EXPECT_EQ(Bytes(1023.9 * 1024), "1.00 MiB");
  EXPECT_EQ(Bytes(-2.0 * 1024 * 1024 * 1024), "-2.00 GiB");
  EXPECT_EQ(Bytes(1.8e19), "15.6 EiB");
}

TEST(Units, CountsRatesAndAges) {
  EXPECT_EQ(Count(9999), "9,999");
  EXPECT_EQ(Count(12345), "12.3 k");
  EXPECT_EQ(Counted(1, "block"), "1 block");
  EXPECT_EQ(Counted(0, "block"), "0 blocks");
  EXPECT_EQ(Counted(12345, "block"), "12.3 k blocks");
  EXPECT_EQ(Count(1234567), "1.23 M");
  EXPECT_EQ(Rate(0), "0 B/s");
  EXPECT_EQ(Rate(2048), "+2.00 KiB/s");
  EXPECT_EQ(Rate(-2048), "-2.00 KiB/s");
  EXPECT_EQ(Rate(0.5), "+1.76 KiB/h");
  EXPECT_EQ(CountRate(2), "+2.0/s");
  EXPECT_EQ(CountRate(1 / 60.0), "+1.0/min");
  EXPECT_EQ(Age(40), "40 ms");
  EXPECT_EQ(Age(90'000), "90 s");
  EXPECT_EQ(Age(7'500'000), "2 h 5 min");
  EXPECT_EQ(Age(1000LL * (4 * 86400 + 3 * 3600)), "4 d 3 h");
  EXPECT_EQ(Clock(1'700'000'000'000), "2023-11-14 22:13:20");
}

TEST(Units, WidthAndCutCountCharactersNotBytes) {
  EXPECT_EQ(Width("±…▁"), 3u);
  EXPECT_EQ(Shorten("abcdef", 4), "abc…");
  EXPECT_EQ(Shorten("äöüß", 3), "äö…");
  EXPECT_EQ(PadLeft("ä", 3), "  ä");
  EXPECT_EQ(Printable("a\x1b[2Jb\xff\xc2\x85ü"), "a?[2Jb??ü");
}

TEST(Units, SparklineSpansLowestToHighest) {
  EXPECT_EQ(Sparkline({0, 7}, 10), "▁█");
  EXPECT_EQ(Sparkline({5, 5, 5}, 10), "▁▁▁");
  EXPECT_EQ(Width(Sparkline(std::vector<double>(1000, 1), 24)), 24u);
  EXPECT_EQ(Sparkline({1}, 10), "");
}

TEST(Units, TheLastWordOutlivesTheCut) {
  EXPECT_EQ(ShortenBeforeLastWord("leaky::handle_report handlers.cc:23", 24), "leaky::h… handlers.cc:23");
  EXPECT_EQ(ShortenBeforeLastWord("leaky::handle_report handlers.cc:23", 10), "leaky::ha…");
  EXPECT_EQ(ShortenBeforeLastWord("short", 10), "short");
}

TEST(ShortFunction, DropsParametersTemplateArgumentsAndReturnTypes) {
  EXPECT_EQ(ShortFunction("leaky::handle_report(leaky::Service&, leaky::Request const&)"), "leaky::handle_report");
  EXPECT_EQ(ShortFunction("void std::vector<int, std::allocator<int> >::push_back(int&&)"), "std::vector::push_back");
  EXPECT_EQ(ShortFunction("leaky::(anonymous namespace)::AcceptLoop(leaky::Service&, int)"),
            "leaky::(anonymous namespace)::AcceptLoop");
  EXPECT_EQ(ShortFunction("std::basic_ostream<char>& std::operator<< <char>(std::basic_ostream<char>&, char const*)"),
            "std::operator<<");
  EXPECT_EQ(ShortFunction("Cache::operator()(int) const"), "Cache::operator()");
  EXPECT_EQ(ShortFunction("operator new(unsigned long)"), "operator new");
  EXPECT_EQ(ShortFunction("main::{lambda(int)#1}::operator()(int) const"), "main::{lambda#1}::operator()");
  EXPECT_EQ(ShortFunction("Server::Size(int) const"), "Server::Size");
  EXPECT_EQ(ShortFunction("run(int) [clone .part.0]"), "run [clone .part.0]");
}

TEST(ShortFunction, LeavesOtherLanguagesAndOddNamesAlone) {
  for (const char* name : {"malloc", "", "<alloc::vec::Vec<T> as core::ops::Drop>::drop", "main.handleRequest", "a<b", "x(("}) {
    EXPECT_EQ(ShortFunction(name), name);
  }
  EXPECT_EQ(ShortFunction("core::ptr::drop_in_place<alloc::vec::Vec<u8>>"), "core::ptr::drop_in_place");
}

TEST(Table, CsvQuotesAndDefusesFormulas) {
  std::ostringstream out;
  WriteCsvRecord({"a,b", "say \"x\"", "=1+1", "plain", "two\nlines"}, out);
  EXPECT_EQ(out.str(), "\"a,b\",\"say \"\"x\"\"\",'=1+1,plain,two?lines\n");
}

TEST(Growth, TheilSenIsTheSlopeOfALineAndIgnoresAnOddPoint) {
  EXPECT_DOUBLE_EQ(*TheilSenSlope({0, 1, 2, 3}, {5, 7, 9, 11}), 2);
  EXPECT_DOUBLE_EQ(*TheilSenSlope({0, 1, 2, 3, 4, 5, 6}, {0, 2, 4, 600, 8, 10, 12}), 2);
  EXPECT_FALSE(TheilSenSlope({1}, {1}));
  EXPECT_FALSE(TheilSenSlope({1, 1}, {1, 2}));
}

TEST(Growth, ASiteMissingEarlierHeldNothingThen) {
  snapshot::Snapshot first = testing::SampleSnapshot(1), second = testing::SampleSnapshot(2);
  first.sites.clear();
  auto rates = MeasureGrowth({first, second});
  EXPECT_NEAR(rates.at({0x1111, 0}), 2'000'000 / 60.0, 1e-6);
}

TEST(Growth, OneSnapshotTellsALeakFromAStartUpTable) {
  snapshot::Snapshot s = testing::SampleSnapshot(10);  // ten minutes old
  int64_t start = s.process.started_ms;
  snapshot::Site leak = s.sites[0], table = s.sites[0];
  leak.live_bytes.value = table.live_bytes.value = 600'000;
  leak.cohorts = {{start, start + 300'000, 1, 300'000, 1}, {start + 300'000, start + 600'000, 1, 300'000, 1}};
  table.cohorts = {{start, start + 1000, 1, 600'000, 1}};
  table.stack = 2;
  s.sites = {leak, table};
  auto rates = MeasureGrowth({s});
  EXPECT_NEAR(rates.at({0x1111, 0}), 1000, 1);
  EXPECT_EQ(rates.at({0x2222, 0}), 0);
}

TEST(FrameKind, AllocatorMachineryIsRecognised) {
  EXPECT_TRUE(IsAllocatorFrame("/opt/x/lib/libleakhunt.so", ""));
  EXPECT_TRUE(IsAllocatorFrame("/usr/lib/libstdc++.so.6", "operator new(unsigned long)"));
  EXPECT_TRUE(IsAllocatorFrame("/lib/x86_64-linux-gnu/libc.so.6", "malloc"));
  EXPECT_TRUE(IsAllocatorFrame("/usr/lib/libjemalloc.so.2", "je_anything"));
  EXPECT_FALSE(IsAllocatorFrame("/lib/x86_64-linux-gnu/libc.so.6", "getaddrinfo"));
  EXPECT_FALSE(IsAllocatorFrame("/opt/server", "malloc_pool"));
  EXPECT_FALSE(IsAllocatorFrame("/opt/server", "malloc"));
}

TEST(FrameKind, TheRuntimeIsNotThePlaceToLook) {
  EXPECT_TRUE(IsRuntimeFrame("/lib/libc.so.6", "getaddrinfo", ""));
  EXPECT_TRUE(IsRuntimeFrame("/opt/server", "std::vector<int>::push_back(int)", ""));
  EXPECT_TRUE(IsRuntimeFrame("/opt/server", "x", "/usr/include/c++/12/bits/stl_vector.h"));
  EXPECT_FALSE(IsRuntimeFrame("/opt/server", "handle", "server.cc"));
  EXPECT_FALSE(IsRuntimeFrame("/usr/lib/librtmp.so.1", "RTMP_Connect", ""));
}

TEST(OwnFrame, IsTheFirstThatIsTheProgramsOwn) {
  ResolvedFrame vector{"std::vector<int>::reserve(unsigned long)", "/usr/include/c++/12/bits/vector.tcc", 70, 0, "/opt/s", "", 1, true};
  ResolvedFrame own{"fill", "/src/server.cc", 42, 7, "/opt/s", "", 2, false};
  EXPECT_EQ(PlaceName(OwnFrame(ResolvedStack({&vector, &own}))), "fill server.cc:42");
  EXPECT_EQ(PlaceName(OwnFrame(ResolvedStack({&vector}))), "std::vector::reserve vector.tcc:70");
  EXPECT_EQ(PlaceName(OwnFrame(ResolvedStack())), "(unknown)");
}

TEST(Peers, AreTheFarEndWithoutItsPort) {
  EXPECT_EQ(PeerOf("tcp 10.0.0.1:80 -> 10.0.0.2:5555 established"), "10.0.0.2");
  EXPECT_EQ(PeerOf("tcp [::1]:80 -> [::1]:5555"), "[::1]");
  EXPECT_EQ(PeerOf("unix -> /run/x.sock"), "/run/x.sock");
  EXPECT_EQ(PeerOf("/etc/passwd"), "");
}

TEST(Durations, AreReadWithTheirUnits) {
  EXPECT_EQ(*ParseDuration("250ms"), 250);
  EXPECT_EQ(*ParseDuration("30s"), 30'000);
  EXPECT_EQ(*ParseDuration("1.5h"), 5'400'000);
  EXPECT_EQ(*ParseDuration("7"), 7000);
  for (const char* bad : {"", "x", "5y", "-3s", "nan", "1e99d"}) EXPECT_FALSE(ParseDuration(bad)) << bad;
}

}  // namespace
}  // namespace leakhunt::viewer
