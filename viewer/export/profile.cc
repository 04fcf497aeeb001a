// Small readings of a profile; see profile.h.
#include "viewer/export/profile.h"

#include <fmt/format.h>

namespace leakhunt::viewer {

size_t FindValueType(const Profile& profile, const std::string& name) {
  size_t index = 0;
  while (index < profile.value_types.size() && profile.value_types[index].name != name) ++index;
  return index;
}

std::string FrameLabel(const Profile& profile, const ProfileFrame& frame) {
  if (!frame.function.empty()) return frame.function;
  if (frame.module >= profile.modules.size()) return fmt::format("{:#x}", frame.address);
  const std::string& path = profile.modules[frame.module].path;
  return fmt::format("{}+{:#x}", path.substr(path.rfind('/') + 1), frame.address);
}

}  // namespace leakhunt::viewer
