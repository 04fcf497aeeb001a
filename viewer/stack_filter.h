// --filter REGEX over what a site says of itself.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "collector/base/result.h"
#include "viewer/resolve.h"

namespace leakhunt::viewer {

class StackFilter {
 public:
  // Empty pattern: everything matches. Error (exit code 2): not a regular expression.
  static Result<StackFilter> Make(const std::string& pattern);

  // Whether a function, file or module of the stack, or one of the labels matches.
  bool Matches(const ResolvedStack& stack, const std::vector<std::string>& labels) const;

 private:
  struct Pattern;
  std::shared_ptr<const Pattern> pattern_;
};

}  // namespace leakhunt::viewer
