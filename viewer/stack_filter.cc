#include "viewer/stack_filter.h"

#include <fmt/format.h>

#include <regex>

namespace leakhunt::viewer {
namespace {

constexpr size_t kLongest = 2048;  // libstdc++'s matcher recurses once a character

}  // namespace

struct StackFilter::Pattern {
  std::regex regex;

  bool In(const std::string& text) const {
    return !text.empty() && std::regex_search(text.substr(0, kLongest), regex);
  }
};

Result<StackFilter> StackFilter::Make(const std::string& pattern) {
  StackFilter filter;
  if (pattern.empty()) return filter;
  try {
    filter.pattern_ = std::make_shared<const Pattern>(Pattern{std::regex(pattern, std::regex::optimize)});
  } catch (const std::regex_error& defect) {
    return Error{fmt::format("--filter {}: not a regular expression: {}", pattern, defect.what()), 2};
  }
  return filter;
}

bool StackFilter::Matches(const ResolvedStack& stack, const std::vector<std::string>& labels) const {
  if (!pattern_) return true;
  for (const ResolvedFrame& frame : stack) {
    if (pattern_->In(frame.function) || pattern_->In(frame.file) || pattern_->In(frame.module)) return true;
  }
  for (const std::string& label : labels) {
    if (pattern_->In(label)) return true;
  }
  return false;
}

}  // namespace leakhunt::viewer
