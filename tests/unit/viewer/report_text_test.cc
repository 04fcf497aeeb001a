// What people see: text, Markdown, CSV; errors and exit statuses.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>
#include <sstream>

#include "tests/unit/snapshot/sample.h"
#include "tests/unit/viewer/run_report.h"
#include "viewer/render/units.h"

namespace leakhunt::testing {
namespace {

class ReportText : public ::testing::Test {
 protected:
  void SetUp() override { recording_ = RecordSample(directory_.Path(), 5); }

  std::string Ask(std::vector<std::string> arguments, viewer::Terminal terminal = {}) {
    arguments.insert(arguments.end(), {"--symbols", "off"});
    Outcome outcome = Report(arguments, terminal);
    EXPECT_EQ(outcome.status, 0) << outcome.err;
    return outcome.out;
  }

  TemporaryDirectory directory_;
  std::filesystem::path recording_;
};

TEST_F(ReportText, TopSitesNamesProcessSnapshotLossesAndPlace) {
  std::string text = Ask({"top-sites", recording_});
  EXPECT_TRUE(Contains(text, "server[4242]  /opt/shop/bin/server --port 8080 ''")) << text;
  EXPECT_TRUE(Contains(text, "snapshot 5 of 5 (interval: after warm-up), 2023-11-14 22:18:20 UTC, 5 min after the start"));
  EXPECT_TRUE(Contains(text, "killed by"));
  EXPECT_TRUE(Contains(text, "note: 3 allocations (300 B) could not be recorded"));
  EXPECT_TRUE(Contains(text, "note: no collector watched for 100 ms"));
  EXPECT_TRUE(Contains(text, "4.77 MiB"));
  EXPECT_TRUE(Contains(text, "+16.3 KiB/s"));
  EXPECT_TRUE(Contains(text, "server+0x122f {checkout}"));
  EXPECT_TRUE(Contains(text, "[mmap]"));
}

TEST_F(ReportText, NoLineIsWiderThanTheTerminal) {
  for (int width : {60, 80, 100, 200}) {
    for (const char* command : {"top-sites", "handles", "vitals", "diff"}) {
      std::vector<std::string> arguments = {command, recording_};
      if (std::string(command) != "vitals") arguments.insert(arguments.end(), {"--symbols", "off"});
      Outcome outcome = Report(arguments, {width, false});
      std::istringstream lines(outcome.out);
      for (std::string line; std::getline(lines, line);) {
        EXPECT_LE(viewer::Width(line), static_cast<size_t>(width)) << command << " at " << width << ": " << line;
      }
    }
  }
}

TEST_F(ReportText, ColourOnlyWhereItIsAskedFor) {
  EXPECT_FALSE(Contains(Ask({"top-sites", recording_}, {100, false}), "\x1b["));
  EXPECT_TRUE(Contains(Ask({"top-sites", recording_}, {100, true}), "\x1b[33mnote:"));
}

TEST_F(ReportText, ControlCharactersOfForeignNamesDoNotReachTheTerminal) {
  snapshot::Snapshot s = SampleSnapshot();
  s.process.command = {"evil\x1b[2J", "\x07"};
  s.process.name = "evil\x1b]0;x";
  s.handle_sites[0].examples[0].label = "\x1b[31mred";
  s.scopes[1] = "scope\x1b[0m";
  auto recording = Record(directory_.Path() / "evil", "x-1-1", {s});
  EXPECT_FALSE(Contains(Ask({"top-sites", recording}), "\x1b"));
  EXPECT_FALSE(Contains(Ask({"handles", recording}), "\x1b"));
}

TEST_F(ReportText, FilterKeepsWhatMatches) {
  std::string text = Ask({"top-sites", recording_, "--filter", "check.ut"});
  EXPECT_TRUE(Contains(text, "{checkout}"));
  EXPECT_FALSE(Contains(text, "[mmap]"));
  EXPECT_TRUE(Contains(Ask({"top-sites", recording_, "--filter", "no such thing"}), "no site matches the filter"));
}

TEST_F(ReportText, LimitCutsAndSaysSo) {
  std::string text = Ask({"top-sites", recording_, "--limit", "1"});
  EXPECT_FALSE(Contains(text, "[mmap]"));
  EXPECT_TRUE(Contains(text, "1 more rows"));
}

TEST_F(ReportText, StacksAreCutUnlessAskedForInFull) {
  snapshot::Snapshot s = SampleSnapshot();
  s.stacks[1].frames.assign(30, 0);
  auto recording = Record(directory_.Path() / "deep", "x-1-1", {s});
  EXPECT_TRUE(Contains(Ask({"top-sites", recording}), "… 22 more (--full-stacks)"));
  EXPECT_FALSE(Contains(Ask({"top-sites", recording, "--full-stacks"}), "more"));
}

TEST_F(ReportText, HandlesListsExamplesAndWhatIsUntracked) {
  std::string text = Ask({"handles", recording_, "--untracked"});
  EXPECT_TRUE(Contains(text, "12 handles open: 8 with a call site, 1 untracked, 3 inherited")) << text;
  EXPECT_TRUE(Contains(text, "the limit is 1,024, reached in"));
  EXPECT_TRUE(Contains(text, "fd 7  4 min  tcp 10.0.0.1:8080 -> 10.0.0.2:5555 established"));
  EXPECT_TRUE(Contains(text, "raw syscall"));
  EXPECT_TRUE(Contains(Ask({"handles", recording_, "--by", "peer"}), "10.0.0.2"));
  EXPECT_TRUE(Contains(Ask({"handles", recording_, "--by", "thread"}), "worker"));
}

TEST_F(ReportText, ProcessesShowExecsAndChildrenAsATree) {
  snapshot::Snapshot shell = SampleSnapshot(), image = SampleSnapshot(), child = SampleSnapshot();
  shell.process.image = 0;
  shell.process.name = "sh";
  image.process.image = 1;
  image.process.replaced_by_exec = false;
  image.process.previous = "sh-4242-1";
  child.process.pid = 4243;
  child.process.parent_pid = 4242;
  child.process.image = 0;
  child.process.replaced_by_exec = false;
  child.process.end = snapshot::End::kExit;
  child.process.exit_status = 3;
  child.process.started_ms += 1000;
  auto run = directory_.Path() / "tree";
  Record(run, "sh-4242-1", {shell});
  Record(run, "server-4242-2", {image});
  Record(run, "child-4243-1", {child});
  Outcome outcome = Report({"processes", run}, {200, false});
  EXPECT_TRUE(Contains(outcome.out, "\n  4242")) << outcome.out;
  EXPECT_TRUE(Contains(outcome.out, "4243"));
  EXPECT_TRUE(Contains(outcome.out, "exited with 3"));
}

TEST_F(ReportText, MarkdownIsATableWithFoldedStacks) {
  std::string text = Ask({"top-sites", recording_, "--format", "markdown"});
  EXPECT_TRUE(text.starts_with("### Call sites holding memory: server\n"));
  EXPECT_TRUE(Contains(text, "| ---: | ---: |"));
  EXPECT_TRUE(Contains(text, "<details><summary>1. stack</summary>"));
  EXPECT_TRUE(Contains(Ask({"diff", "1", "5", recording_, "--format", "markdown"}), "| +3.81 MiB |"));
}

TEST_F(ReportText, CsvHasOneRecordASite) {
  std::string text = Ask({"top-sites", recording_, "--format", "csv"});
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 3);
  EXPECT_TRUE(Contains(text, "\n1,heap,,5000000,"));
}

TEST_F(ReportText, OutputGoesToAPrivateFile) {
  auto file = directory_.Path() / "report.txt";
  EXPECT_EQ(Ask({"top-sites", recording_, "-o", file}), "");
  std::ifstream stream(file);
  std::string text((std::istreambuf_iterator<char>(stream)), {});
  EXPECT_TRUE(Contains(text, "server[4242]"));
  struct stat status;
  ASSERT_EQ(::stat(file.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 077, 0u);
}

struct Refusal {
  std::vector<std::string> arguments;
  int status;
  const char* message;
};

TEST_F(ReportText, RefusalsAreOneLineAndHonest) {
  auto torn = directory_.Path() / "torn.lhs";
  std::filesystem::copy(recording_ / "snapshot-000001.lhs", torn);
  std::filesystem::resize_file(torn, 500);
  auto foreign = directory_.Path() / "foreign.lhs";
  std::ofstream(foreign) << "something else";
  const Refusal refusals[] = {
      {{}, 1, "cannot read ./leakhunt-data"},
      {{"bogus"}, 2, "unknown command bogus"},
      {{"top-sites", "--bogus"}, 2, "--bogus"},
      {{"top-sites", "--format", "xml"}, 2, "xml"},
      {{"top-sites", "--sort", "size"}, 2, "size is not one of live-bytes|"},
      {{"top-sites", "--limit", "-3"}, 2, "-3"},
      {{"top-sites", recording_, "--filter", "("}, 2, "not a regular expression"},
      {{"top-sites", recording_, "--snapshot", "x"}, 2, "x is not a snapshot"},
      {{"top-sites", recording_, "--snapshot", "9"}, 1, "no snapshot 9 in"},
      {{"top-sites", recording_, "--pid", "7"}, 1, "no recording of pid 7"},
      {{"top-sites", recording_, "--pid", "7", "--all"}, 2, "exclude each other"},
      {{"handles", recording_, "--min-age", "soon"}, 2, "soon is not a duration"},
      {{"top-sites", "/nonexistent"}, 1, "cannot read /nonexistent: No such file or directory"},
      {{"top-sites", torn}, 1, "truncated at 500 of "},
      {{"top-sites", foreign}, 1, "foreign.lhs is not a leakhunt snapshot"},
      {{"diff", "1", recording_}, 2, "diff compares"},
      {{"diff", "1", "2", "3", "4"}, 2, "at most 3 arguments"},
      {{"top-sites", recording_, "--symbols", "off", "-o", "/nonexistent/x"}, 1, "cannot write /nonexistent/x"},
      {{"doctor", "/nonexistent/program"}, 1, "no such file"},
  };
  for (const Refusal& refusal : refusals) {
    Outcome outcome = Report(refusal.arguments);
    std::string name = refusal.arguments.empty() ? "" : refusal.arguments.back();
    EXPECT_EQ(outcome.status, refusal.status) << name << ": " << outcome.err;
    EXPECT_EQ(outcome.out, "") << name;
    EXPECT_TRUE(outcome.err.starts_with("leakhunt-report: ")) << outcome.err;
    EXPECT_TRUE(Contains(outcome.err, refusal.message)) << name << ": " << outcome.err;
    EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 1) << outcome.err;
  }
}

TEST_F(ReportText, HelpListsTheCommands) {
  Outcome help = Report({"--help"});
  EXPECT_EQ(help.status, 0);
  for (const char* command : {"top-sites", "handles", "diff", "vitals", "processes", "doctor", "live"}) {
    EXPECT_TRUE(Contains(help.out, std::string("\n  ") + command + " ")) << command;
    Outcome one = Report({command, "--help"});
    EXPECT_EQ(one.status, 0);
    EXPECT_TRUE(Contains(one.out, "--format")) << command;
  }
  EXPECT_TRUE(Contains(Report({"--version"}).out, "leakhunt-report "));
}

}  // namespace
}  // namespace leakhunt::testing
