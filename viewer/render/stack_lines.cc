#include "viewer/render/stack_lines.h"

#include <fmt/format.h>

#include "viewer/render/units.h"

namespace leakhunt::viewer {

std::vector<std::string> StackLines(const ResolvedStack& stack, size_t indent, bool full_stacks) {
  constexpr size_t kShort = 8;
  std::string space(indent, ' ');
  if (stack.empty()) return {space + "(no stack)"};
  size_t first = full_stacks ? 0 : OwnFramePlace(stack);
  size_t rest = stack.size() - first;
  size_t shown = full_stacks || rest <= kShort + 1 ? rest : kShort;
  std::vector<std::string> lines;
  if (first > 0) lines.push_back(fmt::format("{}… {} frame{} of the library", space, first, first == 1 ? "" : "s"));
  NameStyle style = full_stacks ? NameStyle::kFull : NameStyle::kShort;
  for (size_t i = first; i < first + shown; ++i) lines.push_back(space + Printable(FrameName(stack[i], style)));
  if (shown < rest) lines.push_back(fmt::format("{}… {} more (--full-stacks)", space, rest - shown));
  return lines;
}

std::string StackCell(const ResolvedStack& stack) {
  std::string cell;
  for (const ResolvedFrame& frame : stack) cell += (cell.empty() ? "" : ";") + Printable(FrameName(frame, NameStyle::kFull));
  return cell;
}

}  // namespace leakhunt::viewer
