// Text that another process chose, made harmless for the place where it is shown.
//
// A name, a path, a label or a symbol may hold any byte. Every host program passes such text through one of these
// functions at its output, and nowhere earlier: recordings and lookups keep the bytes. All functions are pure, and
// applying one to text without unsafe code points changes nothing.
//
// Unsafe code points are: C0 and C1 controls and DEL, line and paragraph separators, characters that order text
// (bidi) or that have no width, tag characters, non-characters, and what is no UTF-8.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace leakhunt {

// One line of printable UTF-8, for a terminal or a log: each unsafe code point, and each byte of invalid UTF-8, is "?".
std::string CleanText(std::string_view text);

// "PROGRAM: MESSAGE\n", for stderr. Line breaks in the message are spaces.
std::string MessageLine(std::string_view program, std::string_view message);

// CleanText with Markdown's own characters escaped: no code, emphasis, link, image, HTML, table cell or heading.
std::string MarkdownText(std::string_view text);

// A line of a fenced code block: CleanText that cannot close the fence.
std::string FencedText(std::string_view text);

// A field of RFC 4180, quoted where necessary. Text that a spreadsheet would run as a formula gets a leading "'";
// numbers with a sign are numbers.
std::string CsvField(std::string_view text);

// CleanText with `&<>"'` as entities, for HTML text and for quoted attributes.
std::string HtmlText(std::string_view text);

// A value of Prometheus' text format, without the quotes around it.
std::string PrometheusLabelValue(std::string_view text);

// JSON as a writer printed it, with its unsafe code points as \uXXXX: the same document, harmless on a terminal.
// Controls below 0x20 are left alone, for inside strings the writer has escaped them.
std::string TerminalSafeJson(std::string_view json);

// Columns that a UTF-8 text takes on a terminal: 2 for wide characters, 0 for combining ones.
size_t DisplayWidth(std::string_view text);

// The longest beginning of `text` that takes at most `columns`; never a part of a character.
std::string_view CutToWidth(std::string_view text, size_t columns);

}  // namespace leakhunt
