// Every control character, the bidi set, invalid UTF-8, formulas, Markdown and HTML through every cleaning function.
#include "collector/base/clean_text.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "collector/serve/metrics.h"

namespace leakhunt {
namespace {

// What must not reach a terminal, one text each.
std::vector<std::string> Unsafe() {
  std::vector<std::string> all;
  for (int c = 0; c < 0x20; ++c) all.emplace_back(1, static_cast<char>(c));
  all.emplace_back("\x7f");
  for (int c = 0x80; c < 0xA0; ++c) all.push_back(std::string("\xc2") + static_cast<char>(c));  // C1
  for (int c = 0x8B; c <= 0x8F; ++c) all.push_back(std::string("\xe2\x80") + static_cast<char>(c));
  for (int c = 0xA8; c <= 0xAE; ++c) all.push_back(std::string("\xe2\x80") + static_cast<char>(c));
  for (int c = 0xA0; c <= 0xAF; ++c) all.push_back(std::string("\xe2\x81") + static_cast<char>(c));
  for (const char* text : {"\xd8\x9c", "\xef\xbb\xbf", "\xc2\xad", "\xf3\xa0\x81\x81", "\xef\xbf\xbe"}) {
    all.emplace_back(text);
  }
  // Lone and missing continuations, overlong forms, a surrogate, above U+10FFFF.
  for (const char* text :
       {"\x80", "\xff", "\xfe", "\xc3", "\xe2\x82", "\xc0\xaf", "\xc1\xbf", "\xe0\x80\xaf", "\xe0\x9f\xbf",
        "\xf0\x80\x80\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xf0\x9f\x98"}) {
    all.emplace_back(text);
  }
  return all;
}

bool AllPrintable(const std::string& text) { return CleanText(text) == text; }

TEST(CleanText, EveryUnsafeTextBecomesQuestionMarks) {
  for (const std::string& unsafe : Unsafe()) {
    const std::string clean = CleanText("a" + unsafe + "b");
    ASSERT_GE(clean.size(), 3u);
    EXPECT_EQ(clean.front(), 'a');
    EXPECT_EQ(clean.back(), 'b');
    EXPECT_EQ(clean.find_first_not_of('?', 1), clean.size() - 1) << clean;
  }
}

TEST(CleanText, OrdinaryTextOfAnyScriptIsKept) {
  for (const char* text :
       {"", "std::vector<int>::push_back", "größe", "日本語", "Ω≈ç", "שלום", "مرحبا", "😀", "é", "a b\\c"}) {
    EXPECT_EQ(CleanText(text), text);
  }
}

TEST(CleanText, EveryOutputIsPrintable) {
  for (const std::string& unsafe : Unsafe()) {
    const std::string name = "=a" + unsafe + "|<b>\"," + unsafe;
    EXPECT_TRUE(AllPrintable(MarkdownText(name)));
    EXPECT_TRUE(AllPrintable(FencedText(name)));
    EXPECT_TRUE(AllPrintable(CsvField(name)));
    EXPECT_TRUE(AllPrintable(HtmlText(name)));
    EXPECT_TRUE(AllPrintable(PrometheusLabelValue(name)));
    const std::string line = MessageLine("leakhunt-collect", "cannot read " + name);
    EXPECT_TRUE(AllPrintable(line.substr(0, line.size() - 1)));
    EXPECT_EQ(line.back(), '\n');
  }
}

TEST(CleanText, JsonIsTheSameDocumentAndSafeOnATerminal) {
  using nlohmann::json;
  for (const std::string& unsafe : Unsafe()) {
    const json before = {{"name" + unsafe, "x" + unsafe + "y"}};
    const std::string dumped = before.dump(-1, ' ', false, json::error_handler_t::replace);
    const std::string safe = TerminalSafeJson(dumped);
    EXPECT_TRUE(AllPrintable(safe)) << safe;
    EXPECT_EQ(json::parse(safe), json::parse(dumped));
  }
}

TEST(CleanText, MarkdownShowsWhatWasWritten) {
  EXPECT_EQ(MarkdownText("| a | `b` *c* [d](e) <f> &amp;"), "\\| a \\| \\`b\\` \\*c\\* \\[d\\](e) \\<f\\> \\&amp;");
  EXPECT_EQ(MarkdownText("# heading"), "\\# heading");
  EXPECT_EQ(MarkdownText("#"), "#") << "a column's title";
  EXPECT_EQ(MarkdownText("- item"), "\\- item");
  EXPECT_EQ(MarkdownText("+3.81 MiB"), "+3.81 MiB");
  EXPECT_EQ(MarkdownText("http://x"), "http\\://x");
  EXPECT_EQ(FencedText("  ```html"), "  '''html");
  EXPECT_EQ(FencedText("a ``` b"), "a ``` b");
}

TEST(CleanText, CsvFieldsAreNoFormulasAndNumbersStay) {
  for (const char* formula : {"=1+1", "+1+1", "-2+3", "@SUM(1)", "=cmd|' /C calc'!A0", "-A1", "+e1"}) {
    EXPECT_EQ(CsvField(formula), "'" + std::string(formula));
  }
  EXPECT_EQ(CsvField("\t=1"), "'?=1");
  EXPECT_EQ(CsvField("\r=1"), "'?=1");
  for (const char* number : {"-1", "+2.5", "-1e-05", "-3.25e+10", "0", "-", ""}) EXPECT_EQ(CsvField(number), number);
  EXPECT_EQ(CsvField("=HYPERLINK(\"http://x\",\"y\")"), "\"'=HYPERLINK(\"\"http://x\"\",\"\"y\"\")\"");
}

TEST(CleanText, HtmlAndPrometheusEscapeTheirOwn) {
  EXPECT_EQ(HtmlText("<a href='x' b=\"y\">&"), "&lt;a href=&#39;x&#39; b=&quot;y&quot;&gt;&amp;");
  EXPECT_EQ(PrometheusLabelValue("a\"b\\c\nd\xff"), "a\\\"b\\\\c?d?");
}

TEST(CleanText, WidthsAreWhatATerminalShows) {
  EXPECT_EQ(DisplayWidth("abc"), 3u);
  EXPECT_EQ(DisplayWidth("größe"), 5u);
  EXPECT_EQ(DisplayWidth("日本"), 4u);
  EXPECT_EQ(DisplayWidth("e\xcc\x81"), 1u) << "a combining accent takes no column";
  EXPECT_EQ(CutToWidth("日本語", 5), "日本");
  EXPECT_EQ(CutToWidth("abc", 9), "abc");
  EXPECT_EQ(CutToWidth("abc", 0), "");
}

TEST(CleanText, OneHostileNameSpoilsNoScrapeAndNoPage) {
  for (const std::string& unsafe : Unsafe()) {
    serve::ProcessRow row;
    row.name = "a" + unsafe + "\"} 1\n";
    row.state = "running";
    const std::string metrics = serve::Metrics({row});
    for (size_t at = 0, end; (end = metrics.find('\n', at)) != std::string::npos; at = end + 1) {
      EXPECT_TRUE(AllPrintable(metrics.substr(at, end - at)));
      EXPECT_EQ(metrics.compare(at, 2, "# ") == 0 || metrics.compare(at, 9, "leakhunt_") == 0, true);
    }
    const std::string page = serve::Page({row});
    EXPECT_TRUE(AllPrintable(page.substr(0, page.size() - 1)));
  }
}

}  // namespace
}  // namespace leakhunt
