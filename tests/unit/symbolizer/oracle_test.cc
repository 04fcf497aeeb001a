// On programs of several compilers and formats, every address has the frames that other symbolizers give it.
#include <gtest/gtest.h>

#include <filesystem>
#include <regex>

#include "oracle.h"
#include "symbolizer/elf_file.h"
#include "symbolizer/symbolizer.h"

namespace leakhunt::symbolizer {
namespace {

std::string Sample(const std::string& name) { return std::string(SAMPLES_DIR) + "/" + name; }

// What the oracles write otherwise: clone suffixes of parts of a function.
std::string WithoutClone(const std::string& name) {
  static const std::regex kClone(R"(( \[clone [^\]]*\])+$|\.(cold|part|constprop|isra|lto_priv)(\.\d+)*$)");
  return std::regex_replace(name, kClone, "");
}

std::string Place(const SourceFrame& frame) {
  return std::filesystem::path(frame.file).lexically_normal().string() + ":" + std::to_string(frame.line) + ":" +
         std::to_string(frame.column);
}

std::string Text(const std::vector<SourceFrame>& frames) {
  std::string text;
  for (const SourceFrame& frame : frames) text += "  " + WithoutClone(frame.function) + " " + Place(frame) + "\n";
  return text;
}

struct Comparison {
  size_t addresses = 0, frames = 0, inlined = 0, different = 0;
  std::string examples;
};

Comparison Compare(const std::string& file, const FramesByAddress& oracle) {
  auto elf = ElfFile::Open(file);
  EXPECT_TRUE(elf);
  Symbolizer symbolizer({});
  Comparison result;
  for (const auto& [address, expected] : oracle) {
    const std::vector<SourceFrame>& found = symbolizer.Lookup({file, (*elf)->build_id()}, address);
    ++result.addresses;
    result.frames += found.size();
    for (const SourceFrame& frame : found) result.inlined += frame.inlined;
    if (Text(found) == Text(expected)) continue;
    if (++result.different <= 3) {
      result.examples += "at " + std::to_string(address) + "\n" + Text(found) + " oracle\n" + Text(expected);
    }
  }
  EXPECT_TRUE(symbolizer.Warnings().empty()) << symbolizer.Warnings()[0];
  return result;
}

class Oracle : public testing::TestWithParam<const char*> {};

class BinutilsOracle : public testing::TestWithParam<const char*> {};

TEST_P(BinutilsOracle, AgreesOnTheLine) {
  const std::string file = Sample(GetParam());
  auto elf = ElfFile::Open(file);
  ASSERT_TRUE(elf);
  Symbolizer symbolizer({});
  size_t addresses = 0, different = 0;
  for (const auto& [address, expected] : AskBinutils(file, CodeAddresses(file, 1))) {
    const std::vector<SourceFrame>& found = symbolizer.Lookup({file, (*elf)->build_id()}, address);
    const uint32_t line = found.empty() ? 0 : found.front().line;
    ++addresses;
    different += expected.empty() || line != expected.front().line;
  }
  EXPECT_GT(addresses, 5000u);
  EXPECT_LE(different * 1000, addresses) << different << " differ";
}

TEST_P(Oracle, LlvmAgrees) {
  if (std::string(LLVM_SYMBOLIZER).empty()) GTEST_SKIP() << "llvm-symbolizer is not installed";
  const std::string file = Sample(GetParam());
  const Comparison result = Compare(file, AskLlvm(LLVM_SYMBOLIZER, file, CodeAddresses(file, 1)));
  EXPECT_GT(result.addresses, 5000u);
  if (file.find("-o0") == std::string::npos) {
    EXPECT_GT(result.inlined, 5000u);
  }
  EXPECT_LE(result.different * 1000, result.addresses) << result.different << " differ\n" << result.examples;
}

INSTANTIATE_TEST_SUITE_P(Gcc, Oracle,
                         testing::Values("gcc-o2", "gcc-o3-dwarf4", "gcc-o0", "gcc-sections", "gcc-lto",
                                         "gcc-compressed", "gcc-split"));
// Without gcc-split: binutils 2.40 does not read split DWARF 5.
INSTANTIATE_TEST_SUITE_P(Gcc, BinutilsOracle,
                         testing::Values("gcc-o2", "gcc-o3-dwarf4", "gcc-o0", "gcc-sections", "gcc-lto",
                                         "gcc-compressed"));
#ifdef HAVE_CLANG
INSTANTIATE_TEST_SUITE_P(Clang, BinutilsOracle, testing::Values("clang-o2", "clang-dwarf4"));
INSTANTIATE_TEST_SUITE_P(Clang, Oracle, testing::Values("clang-o2", "clang-dwarf4"));
#endif

}  // namespace
}  // namespace leakhunt::symbolizer
