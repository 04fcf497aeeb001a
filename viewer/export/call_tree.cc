#include "viewer/export/call_tree.h"

namespace leakhunt::viewer {
namespace {

using KnownNodes = std::map<std::pair<uint32_t, uint32_t>, uint32_t>;

uint32_t Node(CallTree& tree, KnownNodes& known, uint32_t frame, uint32_t parent) {
  auto [found, added] = known.try_emplace({frame, parent}, static_cast<uint32_t>(tree.nodes.size()));
  if (added) tree.nodes.push_back({frame, parent});
  return found->second;
}

}  // namespace

ProfileFrame UnknownFrame() {
  ProfileFrame frame;
  frame.function = "(unknown)";
  return frame;
}

CallTree MakeCallTree(const Profile& profile) {
  CallTree tree;
  KnownNodes known;
  for (const ProfileSample& sample : profile.samples) {
    uint32_t at = kNoParent;
    for (size_t i = sample.frames.size(); i-- > 0;) at = Node(tree, known, sample.frames[i], at);
    if (at == kNoParent) at = Node(tree, known, static_cast<uint32_t>(profile.frames.size()), kNoParent);
    tree.leaf_of_sample.push_back(at);
  }
  return tree;
}

}  // namespace leakhunt::viewer
