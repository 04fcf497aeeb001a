// export, flamegraph, symbolize and bundle on recordings: of the sample process, and of this very program.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "symbolizer/elf_file.h"
#include "tests/unit/snapshot/sample.h"
#include "tests/unit/viewer/run_report.h"

extern "C" const char __executable_start;

namespace leakhunt::testing {
namespace {

namespace fs = std::filesystem;

__attribute__((noinline)) int LeakingHandler(int requests) { return requests * 3; }

// One site of 4096 live bytes, allocated in LeakingHandler of this program.
snapshot::Snapshot OwnSnapshot() {
  snapshot::Snapshot s = SampleSnapshot(1);
  const std::string self = fs::canonical("/proc/self/exe");
  auto elf = symbolizer::ElfFile::Open(self);
  EXPECT_TRUE(elf);
  const uint64_t base = reinterpret_cast<uint64_t>(&__executable_start);
  s.process.executable = self;
  s.modules = {{self, (*elf)->build_id(), base, base + 0x1000000, base}};
  s.frames = {{0, reinterpret_cast<uint64_t>(&LeakingHandler) - base, snapshot::kFrameExact}};
  s.stacks = {{}, {{0}, false, 77}};
  s.sites.resize(1);
  s.sites[0].stack = 1;
  s.sites[0].scope = 0;
  s.sites[0].kind = snapshot::SiteKind::kHeap;
  s.sites[0].live_bytes = {1, 4096, 0, 0, 0, 0};
  s.sites[0].live_count = {1, 1, 0, 0, 0, 0};
  s.handle_sites.clear();
  return s;
}

class ExportCommand : public ::testing::Test {
 protected:
  TemporaryDirectory directory_;
};

TEST_F(ExportCommand, NamesThisProgram) {
  const fs::path recording = Record(directory_.Path(), "own", {OwnSnapshot()});
  EXPECT_EQ(LeakingHandler(2), 6);
  const Outcome collapsed = Report({"export", recording, "--format", "collapsed"});
  ASSERT_EQ(collapsed.status, 0) << collapsed.err;
  EXPECT_TRUE(Contains(collapsed.out, "LeakingHandler(int) 4096\n")) << collapsed.out;
  const Outcome off = Report({"export", recording, "--format", "collapsed", "--symbols", "off"});
  EXPECT_TRUE(Contains(off.out, "lh_viewer_tests+0x")) << off.out;
}

TEST_F(ExportCommand, EveryFormatAndBothSubjects) {
  const fs::path recording = RecordSample(directory_.Path(), 2);
  for (const char* subject : {"memory", "handles"}) {
    std::vector<std::string> more;
    if (std::string(subject) == "handles") more = {"--handles"};
    auto run = [&](std::vector<std::string> arguments) {
      arguments.insert(arguments.end(), more.begin(), more.end());
      const Outcome outcome = Report(arguments);
      EXPECT_EQ(outcome.status, 0) << outcome.err;
      return outcome.out;
    };
    EXPECT_EQ(run({"export", recording}).substr(0, 2), "\x1f\x8b");
    EXPECT_EQ(nlohmann::json::parse(run({"export", recording, "--format", "speedscope"}))["profiles"].size(),
              more.empty() ? 4u : 2u);
    EXPECT_TRUE(Contains(run({"export", recording, "--format", "csv"}), more.empty() ? "inuse_space" : "open_handles"));
    EXPECT_TRUE(Contains(run({"flamegraph", recording}), more.empty() ? "memory by call site" : "handles by call site"));
  }
}

TEST_F(ExportCommand, CollapsedOfAnyValue) {
  const fs::path recording = RecordSample(directory_.Path(), 1);
  const Outcome live = Report({"export", recording, "--format", "collapsed"});
  const Outcome all = Report({"export", recording, "--format", "collapsed", "--value", "alloc_space"});
  EXPECT_EQ(all.status, 0) << all.err;
  EXPECT_NE(live.out, all.out);
  const Outcome wrong = Report({"export", recording, "--format", "collapsed", "--value", "weight"});
  EXPECT_EQ(wrong.status, 2);
  EXPECT_TRUE(Contains(wrong.err, "weight is not one of alloc_objects, alloc_space, inuse_objects, inuse_space")) << wrong.err;
}

TEST_F(ExportCommand, BinaryFormatsStayOffATerminal) {
  const fs::path recording = RecordSample(directory_.Path(), 1);
  viewer::Terminal terminal;
  terminal.shown = true;
  for (const char* command : {"export", "bundle"}) {
    const Outcome refused = Report({command, recording}, terminal);
    EXPECT_EQ(refused.status, 2);
    EXPECT_TRUE(Contains(refused.err, "is not text: give -o FILE")) << refused.err;
    const fs::path file = directory_.Path() / (std::string(command) + ".gz");
    EXPECT_EQ(Report({command, recording, "-o", file}, terminal).status, 0);
    EXPECT_GT(fs::file_size(file), 100u);
  }
}

TEST_F(ExportCommand, TheHtmlPageSaysWhatTheOtherCommandsSay) {
  const fs::path recording = RecordSample(directory_.Path(), 3);
  const Outcome html = Report({"html", recording});
  ASSERT_EQ(html.status, 0) << html.err;
  const std::string open = "<script id=\"data\" type=\"application/json\">";
  const size_t start = html.out.find(open) + open.size();
  const auto data = nlohmann::json::parse(html.out.substr(start, html.out.find("</script>", start) - start));
  EXPECT_EQ(data["sites"], nlohmann::json::parse(Report({"top-sites", recording, "--format", "json"}).out));
  EXPECT_EQ(data["vitals"], nlohmann::json::parse(Report({"vitals", recording, "--format", "json"}).out));
  EXPECT_EQ(data["handles"]["schema"], "leakhunt/handles/1");
  EXPECT_EQ(data["findings"]["schema"], "leakhunt/trend/1");
  EXPECT_TRUE(data["notes"].empty()) << data["notes"];
  EXPECT_TRUE(Contains(html.out, "srcdoc=\"&lt;!DOCTYPE html&gt;"));
  for (const char* loading : {"src=\"", "href=", "@import", "url("}) EXPECT_FALSE(Contains(html.out, loading)) << loading;
}

TEST_F(ExportCommand, SymbolizeStoresWhatBundlePacks) {
  const fs::path recording = Record(directory_.Path(), "own", {OwnSnapshot()});
  const Outcome stored = Report({"symbolize", recording});
  ASSERT_EQ(stored.status, 0) << stored.err;
  EXPECT_TRUE(Contains(stored.out, "symbols of 1 of 1 modules in ")) << stored.out;
  EXPECT_TRUE(fs::is_directory(recording / "symbols/.build-id"));
  EXPECT_TRUE(Contains(Report({"symbolize", recording}).out, "(0 new files, 0 B)"));
  const fs::path file = directory_.Path() / "bundle.tar.gz";
  ASSERT_EQ(Report({"bundle", recording, "-o", file}).status, 0);
  ASSERT_EQ(std::system(("cd '" + directory_.Path().string() + "' && mkdir there && tar xzf bundle.tar.gz -C there").c_str()), 0);
  // The debug file alone names the handler: the module's path is not looked at.
  const Outcome there = Report({"export", directory_.Path() / "there/own", "--format", "collapsed", "--sysroot", "/nowhere"});
  EXPECT_TRUE(Contains(there.out, "LeakingHandler(int) 4096\n")) << there.out << there.err;
}

}  // namespace
}  // namespace leakhunt::testing
