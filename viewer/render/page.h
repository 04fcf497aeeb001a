// Filling self-contained HTML pages: marks replaced, foreign text made safe for the place it goes to.
#pragma once

#include <iosfwd>
#include <map>
#include <string>
#include <string_view>

namespace leakhunt::viewer {

// Markup of our own, for an attribute in double quotes. Names go through HtmlText (clean_text.h).
std::string EscapeHtml(std::string_view markup);
// JSON for the inside of a script element: no "</script>" or "<!--" in a string may end it.
std::string ScriptJson(std::string_view json);

// Writes `page` with each {{NAME}} replaced by values.at(NAME), as it is; unknown marks become nothing.
void FillPage(std::string_view page, const std::map<std::string, std::string, std::less<>>& values, std::ostream& out);

}  // namespace leakhunt::viewer
