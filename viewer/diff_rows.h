// What grew and shrank between two snapshots.
//
// Sites are the same when their stacks have the same content (build-ids and offsets). What is left over on both sides,
// as after a rebuild, is matched by the names of the functions on the stack: then line numbers and offsets may differ.
#pragma once

#include <string>
#include <vector>

#include "collector/snapshot/estimate.h"
#include "collector/snapshot/model.h"
#include "viewer/resolve.h"

namespace leakhunt::viewer {

struct DiffSide {
  const snapshot::Snapshot& snapshot;
  Resolver& resolver;
};

struct DiffRow {
  std::string type;  // heap, mmap, thread; of handles: the handle's type
  bool handle = false;
  snapshot::Weighted before, after;              // bytes; of handles: open
  snapshot::Weighted count_before, count_after;  // blocks; of handles: open
  uint32_t stack = 0;                            // in the later snapshot, unless `gone`
  bool gone = false;                             // not in the later snapshot: `stack` is of the earlier one
  bool fresh = false;                            // not in the earlier one
  bool by_names = false;                         // matched by function names

  double Delta() const { return after.value - before.value; }
  double CountDelta() const { return count_after.value - count_before.value; }
};

// Memory sites, then handle sites; only those that differ. Not ranked.
std::vector<DiffRow> CompareSnapshots(const DiffSide& before, const DiffSide& after);

// 95 % limits of after - before. Blocks alive in both are sampled once, so adding the variances overstates the error: the limits are safe.
snapshot::Estimate DeltaLimits(const snapshot::Weighted& before, const snapshot::Weighted& after);

}  // namespace leakhunt::viewer
