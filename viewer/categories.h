// Sums by what people call parts of a program: --pattern NAME=REGEX over frames, or the scopes it set itself.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "collector/base/result.h"
#include "viewer/judged.h"
#include "viewer/stack_filter.h"

namespace leakhunt::viewer {

// Patterns in the order they were given; a stack belongs to the first that a function, file or module of it matches.
class Patterns {
 public:
  // Error (exit code 2): not NAME=REGEX, or not a regular expression.
  static Result<Patterns> Make(const std::vector<std::string>& spelled);

  bool Empty() const { return patterns_.empty(); }
  // "(other)" when none matches.
  const std::string& NameOf(const ResolvedStack& stack) const;

 private:
  std::vector<std::pair<std::string, StackFilter>> patterns_;
};

// What grows in one category: sites that leak or grow without proof.
struct CategoryGrowth {
  std::string name;
  snapshot::Estimate bytes_per_s, handles_per_s;
  double share = 0;  // of all growing bytes a second; of handles where no memory grows
  size_t sites = 0;
};

// By the patterns of the options; by thread name with --by thread, a site's growth shared as its live bytes are; else by
// scope. Fastest first; empty when there is nothing to tell apart (no pattern given, no scope set). Error: a pattern, or a
// --by that makes no categories.
Result<std::vector<CategoryGrowth>> GrowthByCategory(const Judged& judged, const std::vector<size_t>& sites, Loaded& loaded,
                                                     const Options& options);

// "by category: gun_sync +6.67 MiB/s (96 % of the growth), (none) +0.2 MiB/s (4 %)"; empty for none.
std::string CategoryText(const std::vector<CategoryGrowth>& categories);

}  // namespace leakhunt::viewer
