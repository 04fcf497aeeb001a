// The samples' stacks as one tree of callers, for formats that store a stack as a node and its parent.
#pragma once

#include <cstdint>
#include <map>
#include <utility>
#include <vector>

#include "viewer/export/profile.h"

namespace leakhunt::viewer {

inline constexpr uint32_t kNoParent = 0xFFFF'FFFF;

struct CallNode {
  uint32_t frame;   // index into Profile.frames; frames.size() for a sample without a stack
  uint32_t parent;  // index of the caller's node, smaller than this one's; kNoParent = outermost
};

struct CallTree {
  std::vector<CallNode> nodes;
  std::vector<uint32_t> leaf_of_sample;  // one for each of Profile.samples
};

// What stands at Profile.frames.size() for readers that need a frame everywhere.
ProfileFrame UnknownFrame();

CallTree MakeCallTree(const Profile& profile);

}  // namespace leakhunt::viewer
