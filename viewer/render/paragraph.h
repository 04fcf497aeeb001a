// Lines above a table: wrapped to the terminal, notes coloured.
#pragma once

#include <iosfwd>
#include <string>
#include <vector>

#include "viewer/render/terminal.h"

namespace leakhunt::viewer {

// Each line is broken between words to fit; continuations are indented by two. Lines that begin with "note:" are yellow.
void WriteLines(const std::vector<std::string>& lines, const Terminal& terminal, std::ostream& out);

// The same lines as a Markdown list.
void WriteList(const std::vector<std::string>& lines, std::ostream& out);

}  // namespace leakhunt::viewer
