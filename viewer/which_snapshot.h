// Which snapshot of one recording a name means: what --snapshot takes.
//
//   12               the one with that number
//   first, last      `last` of a process that ended by exit is the last one before it tore itself down: a program that
//                    frees everything at its end holds nothing that anybody wants to see
//   end              the newest, whatever the process held by then
//   peak             where most memory was live
//   -5m              the last one that is at least that much older than the newest
//   12:30, 12:30:15  the last one that was taken by that time of day (UTC), of the day of the newest, or the day before
//   anything else    the newest with that label
//
// A snapshot that cannot be read is named on `err` and passed over, but for one that is asked for by its number.
#pragma once

#include <cstddef>
#include <iosfwd>
#include <string>

#include "collector/base/result.h"
#include "collector/snapshot/model.h"
#include "collector/snapshot/recording.h"

namespace leakhunt::viewer {

struct ChosenSnapshot {
  snapshot::Snapshot snapshot;    // how the process ended is told even where an earlier snapshot was chosen
  snapshot::Recording recording;  // files up to and including the chosen one
  size_t snapshots = 0;           // of the recording in all
  bool before_teardown = false;   // there is a later one, in which the process had freed most of this
};

Result<ChosenSnapshot> ReadWhich(snapshot::Recording recording, const std::string& which, std::ostream& err);

// Reads the newest snapshot that can be read, and drops those after it from `recording`, each named on `err`. Error:
// none can; it is that of the newest.
Result<snapshot::Snapshot> ReadNewest(snapshot::Recording* recording, std::ostream& err);

// True when the process ended by exit and had freed more than half of what it held at the snapshot before: memory, or
// descriptors.
bool ToreItselfDown(const snapshot::Snapshot& before, const snapshot::Snapshot& end);

}  // namespace leakhunt::viewer
