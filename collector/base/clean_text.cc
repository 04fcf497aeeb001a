#include "collector/base/clean_text.h"

#include <fmt/format.h>
#include <wchar.h>

#include <algorithm>
#include <clocale>
#include <cstdint>

namespace leakhunt {
namespace {

constexpr uint32_t kInvalid = 0xFFFF'FFFF;

struct CodePoint {
  uint32_t value = kInvalid;
  size_t length = 1;  // bytes
};

// The code point at the front of `text`, which is not empty. Overlong forms, surrogates and values above U+10FFFF are
// invalid (RFC 3629); an invalid sequence is one byte long, so that the next look finds what follows it.
CodePoint Front(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(0);
  if (lead < 0x80) return {lead, 1};
  const size_t length = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  if (lead < 0xC2 || lead > 0xF4 || text.size() < length) return {};
  uint32_t value = lead & (0x7Fu >> length);
  for (size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return {};
    value = value << 6 | (byte(i) & 0x3Fu);
  }
  const uint32_t least = length == 2 ? 0x80 : length == 3 ? 0x800 : 0x1'0000;
  if (value < least || value > 0x10'FFFF || (value >= 0xD800 && value <= 0xDFFF)) return {};
  return {value, length};
}

struct Range {
  uint32_t first, last;
};

// In order. Unicode's format characters (category Cf) that need no font's help to mislead, and fillers that show
// nothing.
constexpr Range kUnsafe[] = {
    {0x00, 0x1F},     {0x7F, 0x9F},     {0xAD, 0xAD},       {0x34F, 0x34F},     {0x61C, 0x61C},
    {0x115F, 0x1160}, {0x17B4, 0x17B5}, {0x180B, 0x180F},   {0x200B, 0x200F},   {0x2028, 0x202E},
    {0x2060, 0x206F}, {0x3164, 0x3164}, {0xFDD0, 0xFDEF},   {0xFEFF, 0xFEFF},   {0xFFA0, 0xFFA0},
    {0xFFF0, 0xFFFB}, {0xFFFE, 0xFFFF}, {0x1BCA0, 0x1BCA3}, {0x1D173, 0x1D17A}, {0xE0000, 0xE0FFF},
};

bool IsUnsafe(uint32_t value) {
  if (value == kInvalid || (value & 0xFFFE) == 0xFFFE) return true;
  const Range* found = std::lower_bound(std::begin(kUnsafe), std::end(kUnsafe), value,
                                        [](const Range& range, uint32_t v) { return range.last < v; });
  return found != std::end(kUnsafe) && value >= found->first;
}

// Calls `use(code point, bytes)` for each code point, and for each byte of invalid UTF-8.
template <typename Use>
void ForEachCodePoint(std::string_view text, Use use) {
  while (!text.empty()) {
    const CodePoint front = Front(text);
    use(front.value, text.substr(0, front.length));
    text.remove_prefix(front.length);
  }
}

// `text` with each byte for which `escape` has a text (one that is not null) replaced by it.
template <typename Escape>
std::string Escaped(const std::string& text, Escape escape) {
  std::string out;
  out.reserve(text.size());
  for (char c : text) {
    if (const char* replacement = escape(c)) {
      out += replacement;
    } else {
      out += c;
    }
  }
  return out;
}

bool IsNumber(std::string_view text) {
  const bool sign = !text.empty() && (text[0] == '+' || text[0] == '-');
  const size_t start = sign ? 1 : 0;
  bool digit = false;
  for (size_t i = start; i < text.size(); ++i) {
    const char c = text[i];
    const bool exponent_sign = (c == '+' || c == '-') && digit && (text[i - 1] == 'e' || text[i - 1] == 'E');
    if (!(c >= '0' && c <= '9') && c != '.' && !(digit && (c == 'e' || c == 'E')) && !exponent_sign) return false;
    digit |= c >= '0' && c <= '9';
  }
  return digit;
}

bool IsFormula(std::string_view text) {
  if (text.size() < 2 || std::string_view("=+-@\t\r").find(text[0]) == std::string_view::npos) return false;
  return !IsNumber(text);
}

// Whether Markdown takes the line for a heading, a list's item or a rule. A signed number is none of them.
bool BeginsBlock(std::string_view line) {
  if (line.empty()) return false;
  const char c = line[0];
  const bool doubled = line.size() > 1 && (line[1] == ' ' || line[1] == c);
  return c == '=' || ((c == '#' || c == '-' || c == '+') && doubled);
}

// The C library's widths need a UTF-8 locale; the program's own may be another.
size_t WidthOf(uint32_t value) {
  static const locale_t utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr);
  if (value < 0x300 || value == kInvalid || utf8 == nullptr) return 1;
  const locale_t before = uselocale(utf8);
  const int width = wcwidth(static_cast<wchar_t>(value));
  uselocale(before);
  return width < 0 ? 1 : static_cast<size_t>(width);
}

}  // namespace

std::string CleanText(std::string_view text) {
  std::string clean;
  clean.reserve(text.size());
  ForEachCodePoint(text, [&](uint32_t value, std::string_view bytes) {
    if (IsUnsafe(value)) {
      clean += '?';
    } else {
      clean += bytes;
    }
  });
  return clean;
}

std::string MessageLine(std::string_view program, std::string_view message) {
  std::string line(message);
  while (!line.empty() && line.back() == '\n') line.pop_back();
  std::replace_if(
      line.begin(), line.end(), [](char c) { return c == '\n' || c == '\r' || c == '\t'; }, ' ');
  return std::string(program) + ": " + CleanText(line) + "\n";
}

std::string MarkdownText(std::string_view text) {
  static constexpr std::string_view kSpecial = "\\`*_[]<>|~&";
  std::string out;
  const std::string clean = CleanText(text);
  for (size_t i = 0; i < clean.size(); ++i) {
    const char c = clean[i];
    const bool begins_block = i == 0 && BeginsBlock(clean);
    const bool begins_address = c == ':' && clean.compare(i, 3, "://") == 0;
    if (kSpecial.find(c) != std::string_view::npos || begins_block || begins_address) out += '\\';
    out += c;
  }
  return out;
}

std::string FencedText(std::string_view text) {
  std::string clean = CleanText(text);
  const size_t first = clean.find_first_not_of(' ');
  if (first == std::string::npos) return clean;
  for (const char fence : {'`', '~'}) {
    if (clean.compare(first, 3, std::string(3, fence)) == 0) clean.replace(first, 3, "'''");
  }
  return clean;
}

std::string CsvField(std::string_view text) {
  std::string field = CleanText(text);
  if (IsFormula(text)) field.insert(field.begin(), '\'');
  if (field.find_first_of(",\"") == std::string::npos) return field;
  return '"' + Escaped(field, [](char c) { return c == '"' ? "\"\"" : nullptr; }) + '"';
}

std::string HtmlText(std::string_view text) {
  return Escaped(CleanText(text), [](char c) -> const char* {
    switch (c) {
      case '&':
        return "&amp;";
      case '<':
        return "&lt;";
      case '>':
        return "&gt;";
      case '"':
        return "&quot;";
      case '\'':
        return "&#39;";
      default:
        return nullptr;
    }
  });
}

std::string PrometheusLabelValue(std::string_view text) {
  return Escaped(CleanText(text), [](char c) {
    return c == '\\' ? "\\\\" : c == '"' ? "\\\"" : static_cast<const char*>(nullptr);
  });
}

std::string TerminalSafeJson(std::string_view json) {
  std::string out;
  out.reserve(json.size());
  ForEachCodePoint(json, [&](uint32_t value, std::string_view bytes) {
    if (value < 0x20 || !IsUnsafe(value)) {
      out += bytes;
    } else if (value == kInvalid) {
      out += "\\ufffd";
    } else if (value <= 0xFFFF) {
      out += fmt::format("\\u{:04x}", value);
    } else {
      out += fmt::format("\\u{:04x}\\u{:04x}", 0xD7C0 + (value >> 10), 0xDC00 + (value & 0x3FF));
    }
  });
  return out;
}

size_t DisplayWidth(std::string_view text) {
  size_t width = 0;
  ForEachCodePoint(text, [&](uint32_t value, std::string_view) { width += WidthOf(value); });
  return width;
}

std::string_view CutToWidth(std::string_view text, size_t columns) {
  size_t end = 0, width = 0;
  bool full = false;
  ForEachCodePoint(text, [&](uint32_t value, std::string_view bytes) {
    width += WidthOf(value);
    full |= width > columns;
    if (!full) end += bytes.size();
  });
  return text.substr(0, end);
}

}  // namespace leakhunt
