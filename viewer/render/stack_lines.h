// A call stack as lines under a row, and as one cell.
#pragma once

#include <string>
#include <vector>

#include "viewer/resolve.h"

namespace leakhunt::viewer {

// Innermost first, indented by `indent`. Without full_stacks: short names, the C++ library's frames on the way to the
// program's own left out, at most 8 lines, then "… N more".
std::vector<std::string> StackLines(const ResolvedStack& stack, size_t indent, bool full_stacks);

// "a (x.cc:1);b (x.cc:9);main (m.cc:3)": innermost first, for CSV.
std::string StackCell(const ResolvedStack& stack);

}  // namespace leakhunt::viewer
