// Collapsed stacks: the format of flamegraph.pl, inferno and many others.
#include <algorithm>
#include <map>
#include <ostream>

#include "collector/base/clean_text.h"
#include "viewer/export/export.h"

namespace leakhunt::viewer {
namespace {

// A ';' separates frames and a line break ends the stack: neither may be in a name.
std::string Name(const Profile& profile, const ProfileFrame& frame) {
  std::string name = CleanText(FrameLabel(profile, frame));
  std::replace(name.begin(), name.end(), ';', ':');
  return name;
}

}  // namespace

void ExportCollapsed(const Profile& profile, size_t value, std::ostream& out) {
  std::vector<std::string> names;
  for (const ProfileFrame& frame : profile.frames) names.push_back(Name(profile, frame));
  std::map<std::string, int64_t> stacks;
  for (const ProfileSample& sample : profile.samples) {
    if (sample.values[value] <= 0) continue;
    std::string stack;
    for (size_t i = sample.frames.size(); i-- > 0;) {
      if (!stack.empty()) stack += ';';
      stack += names[sample.frames[i]];
    }
    stacks[stack.empty() ? "(unknown)" : stack] += sample.values[value];
  }
  for (const auto& [stack, sum] : stacks) out << stack << ' ' << sum << '\n';
}

}  // namespace leakhunt::viewer
