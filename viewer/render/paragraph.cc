#include "viewer/render/paragraph.h"

#include <ostream>

#include "collector/base/clean_text.h"
#include "viewer/render/table.h"
#include "viewer/render/units.h"

namespace leakhunt::viewer {
namespace {

std::vector<std::string> Wrap(const std::string& line, size_t width) {
  std::vector<std::string> pieces;
  std::string piece;
  for (size_t at = 0; at < line.size();) {
    size_t end = line.find(' ', line[at] != ' ' ? at : line.find_first_not_of(' ', at));
    if (end == std::string::npos) end = line.size();
    std::string word = line.substr(at, end - at);  // with the spaces before it
    at = end;
    if (!piece.empty() && Width(piece) + Width(word) > width) {
      pieces.push_back(piece);
      piece = "  " + word.substr(std::min(word.size(), word.find_first_not_of(' ')));
    } else {
      piece += word;
    }
  }
  pieces.push_back(piece);
  return pieces;
}

}  // namespace

void WriteLines(const std::vector<std::string>& lines, const Terminal& terminal, std::ostream& out) {
  size_t width = static_cast<size_t>(terminal.width);
  for (const std::string& line : lines) {
    bool note = line.starts_with("note:");
    for (const std::string& piece : Wrap(Printable(line), width)) {
      std::string fitted = Shorten(piece, width);
      out << (note ? Styled(fitted, Style::kYellow, terminal) : fitted) << "\n";
    }
  }
}

void WriteList(const std::vector<std::string>& lines, std::ostream& out) {
  for (const std::string& line : lines) out << "- " << MarkdownText(line) << "\n";
}

}  // namespace leakhunt::viewer
