// Names that a hostile process chose, through every command and every format: nothing but printable text comes out.
//
// Every string of a snapshot that a process can choose holds every control character, the bidi set, invalid UTF-8,
// Markdown, HTML and a formula; what is written is looked at as a terminal, a spreadsheet and a parser would.
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "collector/base/clean_text.h"
#include "tests/unit/snapshot/sample.h"
#include "tests/unit/viewer/run_report.h"

namespace leakhunt::testing {
namespace {

std::string Hostile() {
  std::string text = "=cmd|'x'!A0,\"q\"";
  for (int c = 1; c < 0x20; ++c) text += static_cast<char>(c);
  text += "\x7f\x1b]0;title\x07\x1b[31m";
  for (int c = 0x80; c < 0xA0; ++c) text += std::string("\xc2") + static_cast<char>(c);
  text += "\xe2\x80\xae\xe2\x81\xa6\xe2\x80\x8b\xef\xbb\xbf\xff\xc0\xaf\xed\xa0\x80";
  return text + "\n=1+1\n# head\n```\n| a | `b` [l](javascript:alert(1)) </script><script>alert(1)</script>";
}

snapshot::Snapshot HostileSnapshot(uint32_t number) {
  snapshot::Snapshot s = SampleSnapshot(number);
  const std::string hostile = Hostile();
  s.label = s.process.name = s.process.executable = s.process.host = hostile;
  s.process.command = {hostile, "", hostile};
  for (auto& module : s.modules) module.path = "/" + hostile + module.path;
  for (auto& thread : s.threads) thread.name = hostile;
  for (size_t i = 1; i < s.scopes.size(); ++i) s.scopes[i] = hostile + std::to_string(i);
  for (auto& site : s.handle_sites) {
    for (auto& example : site.examples) example.label = hostile;
  }
  for (auto& handle : s.untracked) handle.label = hostile;
  return s;
}

const std::vector<std::string> kCommands = {"summary", "top-sites", "handles",   "trend",  "findings",
                                            "vitals",    "processes", "doctor", "diff"};

class HostileNames : public ::testing::Test {
 protected:
  // A JIT's symbols are the process's own words, too.
  HostileNames() {
    std::string symbol = Hostile();
    std::replace(symbol.begin(), symbol.end(), '\n', ' ');
    std::ofstream(recording_ / "perf-4242.map") << "7fab00001000 1000 jit " << symbol << "\n";
  }

  Outcome Run(std::vector<std::string> arguments, viewer::Terminal terminal = {}) {
    if (arguments.front() == "diff") {
      arguments.insert(arguments.begin() + 1,
                       {(recording_ / "snapshot-000001.lhs").native(), (recording_ / "snapshot-000004.lhs").native()});
    } else {
      arguments.insert(arguments.begin() + 1, recording_.native());
    }
    Outcome outcome = Report(arguments, terminal);
    EXPECT_TRUE(outcome.status == 0) << arguments.front() << ": " << outcome.err;
    ExpectPrintable(outcome.err, arguments.front() + " stderr");
    return outcome;
  }

  // Line by line; `sgr` = the report's own colours are taken out first, one by one.
  static void ExpectPrintable(const std::string& text, const std::string& what, bool sgr = false) {
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);) {
      for (const char* code : {"\x1b[1m", "\x1b[2m", "\x1b[31m", "\x1b[32m", "\x1b[33m", "\x1b[0m"}) {
        for (size_t at; sgr && (at = line.find(code)) != std::string::npos;) line.erase(at, std::string(code).size());
      }
      EXPECT_EQ(CleanText(line), line) << what;
    }
  }

  TemporaryDirectory directory_;
  std::filesystem::path recording_ =
      Record(directory_.Path(), "server-4242-1",
             {HostileSnapshot(1), HostileSnapshot(2), HostileSnapshot(3), HostileSnapshot(4)});
};

TEST_F(HostileNames, ATerminalIsShownPrintableTextAlone) {
  for (const std::string& command : kCommands) ExpectPrintable(Run({command}).out, command);
  ExpectPrintable(Run({"top-sites", "--full-stacks", "--by", "thread"}).out, "by thread");
  ExpectPrintable(Run({"top-sites", "--by", "scope"}).out, "by scope");
  ExpectPrintable(Run({"handles", "--untracked", "--full-stacks", "--by", "peer"}).out, "by peer");
}

TEST_F(HostileNames, TheHostileSymbolIsShownCleaned) {
  EXPECT_TRUE(Contains(Run({"top-sites", "--full-stacks"}).out, "jit =cmd|'x'!A0"));
  EXPECT_TRUE(Contains(Run({"export", "--format", "collapsed"}).out, "jit =cmd|'x'!A0"));
}

TEST_F(HostileNames, ColoursAreTheReportsOwn) {
  for (const std::string& command : kCommands) {
    // The hostile text holds ESC [ 31 m: had it passed, its "]0;title" would stand without its escape.
    const std::string out = Run({command}, {100, true, true}).out;
    ExpectPrintable(out, command, true);
    EXPECT_EQ(out.find("\x1b]"), std::string::npos);
  }
}

TEST_F(HostileNames, MarkdownHasNoLineAndNoMarkupOfTheirs) {
  for (const std::string& command : kCommands) {
    const std::string out = Run({command, "--format", "markdown"}).out;
    ExpectPrintable(out, command);
    std::istringstream lines(out);
    bool fenced = false;
    for (std::string line; std::getline(lines, line);) {
      EXPECT_NE(line.rfind("# head", 0), 0u) << command;
      if (line == "```") fenced = !fenced;
      if (fenced) continue;
      EXPECT_EQ(line.find("<script>"), std::string::npos) << command << ": " << line;
      EXPECT_EQ(line.find(" [l]("), std::string::npos) << command << ": " << line;
    }
    EXPECT_FALSE(fenced) << command;
  }
}

TEST_F(HostileNames, CsvHasNoFormulaAndOneRecordPerLine) {
  for (const std::string command : {"summary", "top-sites", "handles", "trend", "findings", "vitals", "processes", "diff"}) {
    const std::string out = Run({command, "--format", "csv"}).out;
    ExpectPrintable(out, command);
    std::istringstream lines(out);
    size_t columns = 0;
    for (std::string line; std::getline(lines, line);) {
      size_t commas = 0;
      bool quoted = false, first = true;
      for (char c : line) {
        if (c == '"') quoted = !quoted;
        EXPECT_FALSE(first && (c == '=' || c == '@')) << command << ": " << line;
        first = c == '"' ? first : (c == ',' && !quoted);
        commas += c == ',' && !quoted;
      }
      if (columns == 0) columns = commas;
      EXPECT_EQ(commas, columns) << command << ": " << line;
    }
  }
}

TEST_F(HostileNames, JsonKeepsTheNameAndIsSafeToPrint) {
  for (const std::string& command : kCommands) {
    const std::string out = Run({command, "--format", "json"}).out;
    ExpectPrintable(out, command);
    EXPECT_TRUE(nlohmann::json::accept(out)) << command;
  }
  const auto json = nlohmann::json::parse(Run({"top-sites", "--format", "json"}).out);
  const std::string name = json["process"]["name"];
  EXPECT_EQ(name.rfind("=cmd|'x'!A0,\"q\"\x01\x02", 0), 0u) << "a reader of JSON gets what the process chose";
}

TEST_F(HostileNames, ExportsArePrintable) {
  for (const std::string format : {"collapsed", "speedscope", "firefox", "heaptrack"}) {
    ExpectPrintable(Run({"export", "--format", format}).out, format);
  }
  std::istringstream csv(Run({"export", "--format", "csv"}).out);
  for (std::string line; std::getline(csv, line);) {
    if (!line.empty() && line.back() == '\r') line.pop_back();
    EXPECT_EQ(CleanText(line), line);
  }
  std::istringstream collapsed(Run({"export", "--format", "collapsed"}).out);
  for (std::string line; std::getline(collapsed, line);) {
    EXPECT_NE(line.find_last_of(' '), std::string::npos);
    EXPECT_EQ(line.substr(line.find_last_of(' ') + 1).find_first_not_of("0123456789"), std::string::npos) << line;
  }
}

TEST_F(HostileNames, PagesHoldNoMarkupOfTheirs) {
  for (const std::string command : {"flamegraph", "html"}) {
    const std::string out = Run({command}).out;
    ExpectPrintable(out, command);
    EXPECT_EQ(out.find("<script>alert"), std::string::npos) << command;
    EXPECT_EQ(out.find("</script><script>"), std::string::npos) << command;
  }
}

TEST_F(HostileNames, ErrorsThatQuoteAFileNameAreOneLine) {
  const Outcome outcome = Report({"top-sites", "/nonexistent/" + Hostile()});
  EXPECT_NE(outcome.status, 0);
  ASSERT_FALSE(outcome.err.empty());
  EXPECT_EQ(outcome.err.find('\n'), outcome.err.size() - 1);
  ExpectPrintable(outcome.err, "stderr");
  const Outcome usage = Report({Hostile()});
  EXPECT_EQ(usage.err.find('\n'), usage.err.size() - 1);
  ExpectPrintable(usage.err, "usage");
}

}  // namespace
}  // namespace leakhunt::testing
