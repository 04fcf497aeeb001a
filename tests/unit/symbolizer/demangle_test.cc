// Linker names of C++ and Rust become what was written; anything else stays.
#include <gtest/gtest.h>

#include <string>

#include "symbolizer/symbolizer.h"

namespace leakhunt::symbolizer {
namespace {

TEST(Demangle, CxxFunctionsWithParameters) {
  EXPECT_EQ(Demangle("_ZN6shapes8DescribeERKNS_7PolygonEi"), "shapes::Describe(shapes::Polygon const&, int)");
  EXPECT_EQ(Demangle("_ZNSt6vectorIdSaIdEED1Ev"), "std::vector<double, std::allocator<double> >::~vector()");
}

TEST(Demangle, RustLegacyWithoutItsHash) {
  EXPECT_EQ(Demangle("_ZN4core3fmt9Formatter3pad17h0123456789abcdefE"), "core::fmt::Formatter::pad");
}

TEST(Demangle, RustV0) {
  EXPECT_EQ(Demangle("_RNvC6_123foo3bar"), "123foo::bar");
  EXPECT_EQ(Demangle("_RNvMsr_NtCs3ssYzQotkvD_3std4pathNtB5_7PathBuf3newCs15kBYyAo9fc_7mycrate"),
            "<std::path::PathBuf>::new");
}

TEST(Demangle, OtherNamesStay) {
  for (const char* name : {"", "main", "_start", "_Z", "_ZZZZ", "_R", "malloc@plt", "runtime.mallocgc", "Z3foov"}) {
    EXPECT_EQ(Demangle(name), name);
  }
  const std::string with_zero("_Z3foov\0x", 9);
  EXPECT_EQ(Demangle(with_zero), with_zero);
}

// Each level names the one before twice: 2^60 characters if it were printed.
TEST(Demangle, ExplodingNamesStay) {
  std::string name = "_Z1fSt4pairIiiE";
  for (int i = 0; i < 60; ++i) {
    const std::string last = i == 0 ? std::string("S0_") : 'S' + std::to_string(i) + '_';
    name += "St4pairI" + last + last + "E";
  }
  const std::string demangled = Demangle(name);
  EXPECT_LE(demangled.size(), 64u * 1024);
}

TEST(Demangle, DeepNestingDoesNotOverflowTheStack) {
  const std::string deep = "_Z1f" + std::string(16000, 'P') + "i";
  EXPECT_EQ(Demangle(deep), deep);
  const std::string long_name = "_Z1f" + std::string(1 << 20, 'P') + "i";
  EXPECT_EQ(Demangle(long_name), long_name);
}

}  // namespace
}  // namespace leakhunt::symbolizer
