// Whether a snapshot can be true: blocks that live lie in the process's memory.
//
// More live bytes than memory means that blocks were freed where leakhunt does not see it, or were never touched since they
// were allocated. Said in every report. Where frees are known to have passed by, or there are not even addresses enough, no
// growth of the heap proves a leak.
#pragma once

#include <optional>
#include <string>

#include "collector/snapshot/model.h"

namespace leakhunt::verdict {

struct MoreThanMemory {
  double live_low_bytes = 0;   // of the heap: lower 95 % limit
  double in_memory_bytes = 0;  // resident and swapped, at the same time
  bool frees_unseen = false;   // it cannot be that the blocks were only never touched

  std::string Text() const;  // one sentence
};

// Absent when the snapshot is consistent, or the memory was not measured at its time.
std::optional<MoreThanMemory> FindMoreThanMemory(const snapshot::Snapshot& snapshot);

}  // namespace leakhunt::verdict
