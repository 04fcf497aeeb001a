// Escaping and filling; see page.h.
#include "viewer/render/page.h"

#include <ostream>

#include "collector/base/clean_text.h"

namespace leakhunt::viewer {

std::string EscapeHtml(std::string_view markup) {
  std::string escaped;
  escaped.reserve(markup.size());
  for (char c : markup) {
    switch (c) {
      case '&': escaped += "&amp;"; break;
      case '<': escaped += "&lt;"; break;
      case '>': escaped += "&gt;"; break;
      case '"': escaped += "&quot;"; break;
      default: escaped += c;
    }
  }
  return escaped;
}

std::string ScriptJson(std::string_view json) {
  std::string escaped = TerminalSafeJson(json);
  for (size_t at = 0; (at = escaped.find('<', at)) != std::string::npos;) escaped.replace(at, 1, "\\u003c");
  return escaped;
}

void FillPage(std::string_view page, const std::map<std::string, std::string, std::less<>>& values, std::ostream& out) {
  while (!page.empty()) {
    const size_t mark = page.find("{{");
    out << page.substr(0, mark);
    if (mark == std::string_view::npos) return;
    const size_t end = page.find("}}", mark);
    const auto value = values.find(page.substr(mark + 2, end - mark - 2));
    if (value != values.end()) out << value->second;
    page.remove_prefix(end + 2);
  }
}

}  // namespace leakhunt::viewer
