// Several processes of one run as one snapshot, for --all.
#pragma once

#include <vector>

#include "collector/snapshot/model.h"

namespace leakhunt::viewer {

// Sums by call site (content of the stack, kind, scope): figures add, the earliest and latest times win, losses and
// handles add. The process described is the first one's; its name gains " and N more". Not empty.
snapshot::Snapshot MergeSnapshots(const std::vector<const snapshot::Snapshot*>& parts);

}  // namespace leakhunt::viewer
