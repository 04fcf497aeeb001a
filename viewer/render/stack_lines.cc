#include "viewer/render/stack_lines.h"

#include <fmt/format.h>

#include "viewer/render/units.h"

namespace leakhunt::viewer {

std::vector<std::string> StackLines(const ResolvedStack& stack, size_t indent, bool full_stacks) {
  constexpr size_t kShort = 8;
  std::string space(indent, ' ');
  if (stack.empty()) return {space + "(no stack)"};
  std::vector<std::string> lines;
  size_t shown = full_stacks || stack.size() <= kShort + 1 ? stack.size() : kShort;
  for (size_t i = 0; i < shown; ++i) lines.push_back(space + Printable(FrameName(stack[i])));
  if (shown < stack.size()) lines.push_back(fmt::format("{}… {} more (--full-stacks)", space, stack.size() - shown));
  return lines;
}

std::string StackCell(const ResolvedStack& stack) {
  std::string cell;
  for (const ResolvedFrame& frame : stack) cell += (cell.empty() ? "" : ";") + Printable(FrameName(frame));
  return cell;
}

}  // namespace leakhunt::viewer
