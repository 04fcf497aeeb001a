// Symbols come from the usual places, and never from another build.
#include "symbolizer/debug_files.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "oracle.h"
#include "symbolizer/bundle.h"
#include "symbolizer/elf_file.h"
#include "symbolizer/symbolizer.h"

namespace leakhunt::symbolizer {
namespace {

namespace fs = std::filesystem;

std::string Sample(const std::string& name) { return std::string(SAMPLES_DIR) + "/" + name; }

std::string BuildId(const std::string& file) {
  auto elf = ElfFile::Open(file);
  EXPECT_TRUE(elf) << file;
  return elf ? (*elf)->build_id() : "";
}

uint64_t SymbolAddress(const std::string& file, const std::string& mangled) {
  const std::string line = RunCommand("nm '" + file + "' | grep ' " + mangled + "$'");
  EXPECT_FALSE(line.empty()) << mangled;
  return std::strtoull(line.c_str(), nullptr, 16);
}

class DebugFilesTest : public testing::Test {
 protected:
  void SetUp() override {
    directory_ = testing::TempDir() + "debug-files-" + testing::UnitTest::GetInstance()->current_test_info()->name();
    fs::remove_all(directory_);
    fs::create_directories(directory_);
    main_ = SymbolAddress(Sample("gcc-o2"), "main");
    id_ = BuildId(Sample("gcc-o2"));
  }
  void TearDown() override { fs::remove_all(directory_); }

  // The line of main(), by a symbolizer of its own.
  SourceFrame Main(const ModuleId& module, const Options& options = {}) {
    Symbolizer symbolizer(options);
    const auto frames = symbolizer.Lookup(module, main_);
    warnings_.assign(symbolizer.Warnings().begin(), symbolizer.Warnings().end());
    return frames.empty() ? SourceFrame() : frames.back();
  }

  std::string directory_, id_;
  uint64_t main_ = 0;
  std::vector<std::string> warnings_;
};

TEST_F(DebugFilesTest, TheModuleItself) {
  const SourceFrame frame = Main({Sample("gcc-o2"), id_});
  EXPECT_EQ(frame.function, "main");
  EXPECT_EQ(fs::path(frame.file).filename(), "main.cc");
  EXPECT_EQ(frame.line, 14u);
  EXPECT_TRUE(warnings_.empty());
}

TEST_F(DebugFilesTest, ByDebugLink) {
  EXPECT_EQ(BuildId(Sample("linked/prog")), id_);
  EXPECT_EQ(Main({Sample("linked/prog"), id_}).line, 14u);
}

TEST_F(DebugFilesTest, ByBuildIdDirectory) {
  const fs::path place = directory_ + "/.build-id/" + BuildIdPath(id_);
  fs::create_directories(place.parent_path());
  fs::copy_file(Sample("linked/.debug/prog.debug"), place);
  Options options;
  options.debug_dirs = {directory_};
  // The module is gone; its debug file alone suffices.
  EXPECT_EQ(Main({"/nowhere/prog", id_}, options).line, 14u);
  EXPECT_EQ(Main({"/nowhere/prog", id_}).function, "");
  ASSERT_EQ(warnings_.size(), 1u);
  EXPECT_NE(warnings_[0].find("/nowhere/prog"), std::string::npos);
}

TEST_F(DebugFilesTest, BySysroot) {
  fs::create_directories(directory_ + "/usr/bin");
  fs::copy_file(Sample("gcc-o2"), directory_ + "/usr/bin/prog");
  Options options;
  options.sysroot = directory_;
  EXPECT_EQ(Main({"/usr/bin/prog", id_}, options).line, 14u);
}

TEST_F(DebugFilesTest, DeletedExecutablesAreFoundUnderTheirName) {
  EXPECT_EQ(Main({Sample("gcc-o2") + " (deleted)", id_}).line, 14u);
}

TEST_F(DebugFilesTest, PathsIntoAnEndedProcessLeadToOurs) {
  EXPECT_EQ(Main({"/proc/4194305/root" + Sample("gcc-o2"), id_}).line, 14u);
  EXPECT_EQ(Main({"/proc/4194305/root" + Sample("gcc-o2"), ""}).function, "");
}

TEST_F(DebugFilesTest, ARebuiltModuleIsRefused) {
  const SourceFrame frame = Main({Sample("gcc-o3-dwarf4"), id_});
  EXPECT_EQ(frame.function, "");
  EXPECT_EQ(frame.line, 0u);
  ASSERT_EQ(warnings_.size(), 1u);
  EXPECT_NE(warnings_[0].find("was rebuilt since: build-id " + BuildId(Sample("gcc-o3-dwarf4")) + ", recorded " + id_),
            std::string::npos)
      << warnings_[0];
}

TEST_F(DebugFilesTest, ADebugFileOfAnotherBuildIsNotUsed) {
  const fs::path place = directory_ + "/.build-id/" + BuildIdPath(id_);
  fs::create_directories(place.parent_path());
  fs::copy_file(Sample("gcc-o0"), place);
  Options options;
  options.debug_dirs = {directory_};
  EXPECT_EQ(Main({"/nowhere/prog", id_}, options).function, "");
}

TEST_F(DebugFilesTest, StrippedProgramsKeepTheirDynamicSymbols) {
  const std::string file = Sample("stripped/prog");
  const std::string line = RunCommand("nm -D '" + file + "' | grep ' _ZN6shapes8DescribeB5cxx11ERKNS_7PolygonEi$'");
  const uint64_t address = std::strtoull(line.c_str(), nullptr, 16);
  Symbolizer symbolizer({});
  const auto& frames = symbolizer.Lookup({file, BuildId(file)}, address + 5);
  ASSERT_EQ(frames.size(), 1u);
  EXPECT_EQ(frames[0].function, "shapes::Describe[abi:cxx11](shapes::Polygon const&, int)");
  EXPECT_EQ(frames[0].line, 0u);
  EXPECT_FALSE(frames[0].inlined);
}

TEST_F(DebugFilesTest, NamesThatWereNeverFilesAreSilent) {
  for (const char* path : {"[vdso]", "linux-vdso.so.1", "", "/memfd:code (deleted)", "[heap]", "/dev/zero"}) {
    EXPECT_EQ(Main({path, ""}).function, "") << path;
    EXPECT_TRUE(warnings_.empty()) << path;
  }
}

TEST_F(DebugFilesTest, DirectoriesFifosAndTextGiveOneWarning) {
  const std::string fifo = directory_ + "/fifo";
  RunCommand("mkfifo '" + fifo + "'");
  for (const std::string& path : {directory_, fifo, std::string(SAMPLES_DIR "/../cmake_install.cmake")}) {
    EXPECT_EQ(Main({path, ""}).function, "") << path;
    ASSERT_EQ(warnings_.size(), 1u) << path;
    EXPECT_NE(warnings_[0].find("cannot read " + path), std::string::npos) << warnings_[0];
  }
}

TEST_F(DebugFilesTest, SymbolsOffReadsNothing) {
  Options options;
  options.enabled = false;
  EXPECT_EQ(Main({Sample("gcc-o2"), id_}, options).function, "");
  EXPECT_TRUE(warnings_.empty());
}

#ifdef HAVE_DWZ
std::string AllFrames(const ModuleId& module, const Options& options, std::vector<std::string>* warnings) {
  Symbolizer symbolizer(options);
  std::string text;
  for (uint64_t address : CodeAddresses(Sample("gcc-o2"), 3)) {
    for (const SourceFrame& frame : symbolizer.Lookup(module, address)) {
      text += frame.function + " " + frame.file + ":" + std::to_string(frame.line) + "\n";
    }
  }
  warnings->assign(symbolizer.Warnings().begin(), symbolizer.Warnings().end());
  return text;
}

TEST_F(DebugFilesTest, SharedDebugFilesOfDwz) {
  const std::string shrunk = Sample("dwz/gcc-o2");
  ASSERT_LT(fs::file_size(shrunk), fs::file_size(Sample("gcc-o2")));
  const std::string whole = AllFrames({Sample("gcc-o2"), id_}, {}, &warnings_);
  EXPECT_GT(whole.size(), 100'000u);
  EXPECT_EQ(AllFrames({shrunk, id_}, {}, &warnings_), whole);
  EXPECT_TRUE(warnings_.empty());
  // The bundle takes the shared file along.
  auto stored = StoreSymbols(std::vector<ModuleId>{{shrunk, id_}}, {}, directory_ + "/symbols");
  ASSERT_TRUE(stored);
  EXPECT_EQ(stored->written, 2u);
  Options bundled;
  bundled.bundle_dir = directory_ + "/symbols";
  EXPECT_EQ(AllFrames({"/nowhere/prog", id_}, bundled, &warnings_), whole);
  // Without it there are lines, fewer names, and a warning.
  fs::create_directories(directory_ + "/alone");
  fs::copy_file(shrunk, directory_ + "/alone/prog");
  EXPECT_NE(AllFrames({directory_ + "/alone/prog", id_}, {}, &warnings_), whole);
  ASSERT_EQ(warnings_.size(), 1u);
  EXPECT_NE(warnings_[0].find("its shared debug file shared.debug is missing"), std::string::npos) << warnings_[0];
}
#endif

TEST(BuildIdPathTest, RefusesWhatIsNotHex) {
  EXPECT_EQ(BuildIdPath("abcdef0123"), "ab/cdef0123.debug");
  for (const char* bad : {"", "ab", "../../etc/passwd", "ABCDEF0123", "abcde/"}) EXPECT_EQ(BuildIdPath(bad), "") << bad;
  EXPECT_EQ(BuildIdPath(std::string(200, 'a')), "");
}

// What StoreSymbols keeps names every address as the original does, without the original.
class BundleTest : public DebugFilesTest, public testing::WithParamInterface<const char*> {};

TEST_P(BundleTest, NamesAllAddressesWithoutTheOriginal) {
  const std::string file = Sample(GetParam());
  const ModuleId module{file, BuildId(file)};
  auto stored = StoreSymbols(std::vector<ModuleId>{module, module}, {}, directory_ + "/symbols");
  ASSERT_TRUE(stored) << stored.error().message;
  EXPECT_EQ(stored->modules, 1u);
  EXPECT_EQ(stored->written, 1u);
  EXPECT_TRUE(stored->warnings.empty());
  Options bundled;
  bundled.bundle_dir = directory_ + "/symbols";
  Symbolizer original({}), elsewhere(bundled);
  const ModuleId gone{"/nowhere/prog", module.build_id};
  size_t named = 0;
  for (uint64_t address : CodeAddresses(Sample("gcc-o2"), 3)) {
    const auto& expected = original.Lookup(module, address);
    const auto& found = elsewhere.Lookup(gone, address);
    ASSERT_EQ(found.size(), expected.size()) << address;
    for (size_t i = 0; i < found.size(); ++i) {
      ASSERT_EQ(found[i].function, expected[i].function) << address;
      ASSERT_EQ(found[i].file, expected[i].file) << address;
      ASSERT_EQ(found[i].line, expected[i].line) << address;
    }
    named += !found.empty();
  }
  EXPECT_GT(named, 500u);
}

INSTANTIATE_TEST_SUITE_P(Files, BundleTest, testing::Values("gcc-o2", "linked/prog", "stripped/prog", "gcc-compressed"));

TEST_F(DebugFilesTest, BundlesArePrivateSmallerAndWrittenOnce) {
  const std::string target = directory_ + "/symbols";
  const std::vector<ModuleId> modules = {{Sample("gcc-o2"), id_}, {"[vdso]", "0123456789"}, {"/nowhere", "0123456789"}};
  auto first = StoreSymbols(modules, {}, target);
  ASSERT_TRUE(first);
  EXPECT_EQ(first->written, 1u);
  EXPECT_EQ(first->warnings.size(), 1u);
  EXPECT_LT(first->written_bytes, fs::file_size(Sample("gcc-o2")));
  const fs::path stored = target + "/.build-id/" + BuildIdPath(id_);
  EXPECT_EQ(fs::status(stored).permissions(), fs::perms::owner_read | fs::perms::owner_write);
  EXPECT_EQ(fs::status(stored.parent_path()).permissions(), fs::perms::owner_all);
  auto second = StoreSymbols(modules, {}, target);
  ASSERT_TRUE(second);
  EXPECT_EQ(second->written, 0u);
  EXPECT_EQ(second->modules, 1u);
}

TEST_F(DebugFilesTest, ABundleThatCannotBeWrittenIsAnError) {
  auto stored = StoreSymbols(std::vector<ModuleId>{{Sample("gcc-o2"), id_}}, {}, "/proc/no/symbols");
  ASSERT_FALSE(stored);
  EXPECT_NE(stored.error().message.find("cannot create /proc/no"), std::string::npos) << stored.error().message;
}

}  // namespace
}  // namespace leakhunt::symbolizer
