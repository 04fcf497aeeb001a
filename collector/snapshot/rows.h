// Where the two long lists of a snapshot go, row by row.
//
// A big program has a hundred thousand call sites. Their rows in memory are ten times what they become on disk, so
// whoever makes a snapshot hands each on as it is made: to a SnapshotWriter, or to whatever else wants them.
#pragma once

#include "collector/snapshot/model.h"

namespace leakhunt::snapshot {

class Rows {
 public:
  virtual ~Rows() = default;

  // The next element of Snapshot.stacks, and of Snapshot.sites. A stack comes before the first site that names it.
  virtual void Add(const Stack& stack) = 0;
  virtual void Add(const Site& site) = 0;
};

// Hands on the rows of a snapshot that is whole in memory.
inline void AddRows(const Snapshot& snapshot, Rows* rows) {
  for (const Stack& stack : snapshot.stacks) rows->Add(stack);
  for (const Site& site : snapshot.sites) rows->Add(site);
}

}  // namespace leakhunt::snapshot
