// Tables for three readers: columns on a terminal, Markdown in a ticket, CSV in a spreadsheet.
#pragma once

#include <iosfwd>
#include <string>
#include <vector>

#include "viewer/render/terminal.h"

namespace leakhunt::viewer {

enum class Align { kLeft, kRight };

struct Column {
  std::string title;
  Align align = Align::kRight;
  int expendable = 0;  // a narrow terminal loses the columns with the highest number first; 0 = never
};

// Cells are plain text, cleaned when they are written. In a terminal table each row may be followed by lines of its own (a stack).
struct Table {
  std::vector<Column> columns;
  std::vector<std::vector<std::string>> rows;
  std::vector<std::vector<std::string>> details;  // by row; may be shorter than `rows`
};

// The last column takes what is left of the width and is cut before its last word; details are cut too. Columns empty in every row are dropped,
// and expendable ones as long as the last has no room.
void WriteTextTable(const Table& table, const Terminal& terminal, std::ostream& out);
void WriteMarkdownTable(const Table& table, std::ostream& out);

// One record per line, ended by "\n"; each cell is a CsvField (clean_text.h).
void WriteCsvRecord(const std::vector<std::string>& cells, std::ostream& out);

enum class Style { kBold, kDim, kRed, kGreen, kYellow };
// `text` with the terminal's codes around it; unchanged without colour.
std::string Styled(const std::string& text, Style style, const Terminal& terminal);

}  // namespace leakhunt::viewer
