#include "viewer/render/table.h"

#include <algorithm>
#include <ostream>

#include "collector/base/clean_text.h"
#include "viewer/render/units.h"

namespace leakhunt::viewer {
namespace {

constexpr size_t kGap = 2;
constexpr size_t kLeastLast = 12;   // the last column is not cut below this, whatever the width
constexpr size_t kEnoughLast = 32;  // for this much of it expendable columns are given up

std::vector<size_t> Measure(const Table& table) {
  std::vector<size_t> widths(table.columns.size(), 0);
  for (const auto& row : table.rows) {
    for (size_t c = 0; c < row.size() && c < widths.size(); ++c) widths[c] = std::max(widths[c], Width(row[c]));
  }
  for (size_t c = 0; c < widths.size(); ++c) {
    if (widths[c] > 0) widths[c] = std::max(widths[c], Width(table.columns[c].title));
  }
  return widths;
}

size_t WidthBeforeLast(const std::vector<size_t>& widths) {
  size_t used = 0;
  for (size_t c = 0; c + 1 < widths.size(); ++c) used += widths[c] > 0 ? widths[c] + kGap : 0;
  return used;
}

void DropExpendable(const std::vector<Column>& columns, std::vector<size_t>& widths, int terminal_width) {
  while (!widths.empty()) {
    size_t wanted = WidthBeforeLast(widths) + std::min(widths.back(), kEnoughLast);
    size_t drop = widths.size();
    for (size_t c = 0; c + 1 < widths.size(); ++c) {
      bool more = drop == widths.size() || columns[c].expendable > columns[drop].expendable;
      if (widths[c] > 0 && columns[c].expendable > 0 && more) drop = c;
    }
    if (wanted <= static_cast<size_t>(terminal_width) || drop == widths.size()) return;
    widths[drop] = 0;
  }
}

void FitLast(std::vector<size_t>& widths, int terminal_width) {
  if (widths.empty()) return;
  size_t used = WidthBeforeLast(widths);
  size_t width = static_cast<size_t>(terminal_width);
  size_t left = width > used ? width - used : 0;
  widths.back() = std::min(widths.back(), std::max(left, kLeastLast));
}

std::string Line(const std::vector<std::string>& cells, const std::vector<Column>& columns,
                 const std::vector<size_t>& widths) {
  std::string line;
  for (size_t c = 0; c < columns.size(); ++c) {
    if (widths[c] == 0) continue;
    std::string cell = c < cells.size() ? cells[c] : "";
    cell = c + 1 == columns.size() ? ShortenBeforeLastWord(cell, widths[c]) : Shorten(cell, widths[c]);
    if (!line.empty()) line += std::string(kGap, ' ');
    line += columns[c].align == Align::kRight ? PadLeft(cell, widths[c]) : PadRight(cell, widths[c]);
  }
  line.erase(line.find_last_not_of(' ') + 1);
  return line;
}

Table Cleaned(Table table) {
  for (auto* lines : {&table.rows, &table.details}) {
    for (auto& line : *lines) std::transform(line.begin(), line.end(), line.begin(), Printable);
  }
  return table;
}

}  // namespace

std::string Styled(const std::string& text, Style style, const Terminal& terminal) {
  if (!terminal.colour || text.empty()) return text;
  static constexpr const char* kCodes[] = {"1", "2", "31", "32", "33"};
  return std::string("\x1b[") + kCodes[static_cast<int>(style)] + "m" + text + "\x1b[0m";
}

void WriteTextTable(const Table& raw, const Terminal& terminal, std::ostream& out) {
  const Table table = Cleaned(raw);  // before anything is measured
  std::vector<size_t> widths = Measure(table);
  DropExpendable(table.columns, widths, terminal.width);
  FitLast(widths, terminal.width);
  std::vector<std::string> titles;
  for (const Column& column : table.columns) titles.push_back(column.title);
  out << Styled(Line(titles, table.columns, widths), Style::kDim, terminal) << "\n";
  for (size_t r = 0; r < table.rows.size(); ++r) {
    bool detailed = r < table.details.size() && !table.details[r].empty();
    std::string line = Line(table.rows[r], table.columns, widths);
    out << (detailed ? Styled(line, Style::kBold, terminal) : line) << "\n";
    if (!detailed) continue;
    for (const std::string& detail : table.details[r]) out << Shorten(detail, static_cast<size_t>(terminal.width)) << "\n";
  }
}

void WriteMarkdownTable(const Table& table, std::ostream& out) {
  std::vector<size_t> widths = Measure(table);
  auto line = [&](const auto& cell_of) {
    for (size_t c = 0; c < table.columns.size(); ++c) {
      if (widths[c] > 0) out << "| " << cell_of(c) << " ";
    }
    out << "|\n";
  };
  line([&](size_t c) { return MarkdownText(table.columns[c].title); });
  line([&](size_t c) { return std::string(table.columns[c].align == Align::kRight ? "---:" : "---"); });
  for (const auto& row : table.rows) line([&](size_t c) { return c < row.size() ? MarkdownText(row[c]) : ""; });
}

void WriteCsvRecord(const std::vector<std::string>& cells, std::ostream& out) {
  for (size_t c = 0; c < cells.size(); ++c) out << (c == 0 ? "" : ",") << CsvField(cells[c]);
  out << "\n";
}

}  // namespace leakhunt::viewer
