// Names of JIT code by address: later lines hold, bad ones cost themselves.
#include "symbolizer/jit_map.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <fstream>

#include "symbolizer/symbolizer.h"

namespace leakhunt::symbolizer {
namespace {

std::string Write(const std::string& text) {
  const std::string path = testing::TempDir() + "perf-test-" +
                           testing::UnitTest::GetInstance()->current_test_info()->name() + ".map";
  std::ofstream(path) << text;
  return path;
}

TEST(JitMap, NamesWithSpacesByAddress) {
  JitMap map;
  ASSERT_TRUE(map.Add(Write("7f0000001000 40 LazyCompile:*handle request server.js:12:3\n0x7f0000002000 0x10 stub\n")));
  EXPECT_EQ(map.Find(0x7f0000001000), "LazyCompile:*handle request server.js:12:3");
  EXPECT_EQ(map.Find(0x7f000000103f), "LazyCompile:*handle request server.js:12:3");
  EXPECT_EQ(map.Find(0x7f0000001040), "");
  EXPECT_EQ(map.Find(0x7f0000002008), "stub");
}

TEST(JitMap, TheLaterOfOverlappingLinesHolds) {
  JitMap map;
  ASSERT_TRUE(map.Add(Write("1000 100 old\n1040 10 new\n")));
  EXPECT_EQ(map.Find(0x1000), "old");
  EXPECT_EQ(map.Find(0x1045), "new");
  EXPECT_EQ(map.Find(0x1050), "old");
  ASSERT_TRUE(map.Add(Write("1000 100 newest")));
  EXPECT_EQ(map.Find(0x1045), "newest");
}

TEST(JitMap, BadLinesAreCounted) {
  JitMap map;
  ASSERT_TRUE(map.Add(Write("\nzz 10 a\n10\n10 20\n10 0 empty\nffffffffffffffff 10 wraps\n1ffffffffffffffff 1 long\n20 8 good\n")));
  EXPECT_EQ(map.bad_lines(), 6u);
  EXPECT_EQ(map.Find(0x20), "good");
}

TEST(JitMap, AMissingFileIsOneWarning) {
  Symbolizer symbolizer({});
  symbolizer.AddJitMap("/nowhere/perf-1.map");
  ASSERT_EQ(symbolizer.Warnings().size(), 1u);
  EXPECT_EQ(symbolizer.Warnings()[0], "cannot read /nowhere/perf-1.map: No such file or directory");
  EXPECT_TRUE(symbolizer.LookupJit(0x1000).empty());
}

TEST(JitMap, TheSymbolizerDemanglesAndForgetsOldAnswers) {
  Symbolizer symbolizer({});
  EXPECT_TRUE(symbolizer.LookupJit(0x1000).empty());
  symbolizer.AddJitMap(Write("1000 10 _ZN3jit4codeEv\n"));
  ASSERT_EQ(symbolizer.LookupJit(0x1000).size(), 1u);
  EXPECT_EQ(symbolizer.LookupJit(0x1000)[0].function, "jit::code()");
}

}  // namespace
}  // namespace leakhunt::symbolizer
