// Which snapshot of which process a report is about: the rules of `PATH`, --pid, --all and --snapshot.
//
// Of a directory of recordings: the newest run, in it the process started first, of that its last image after execs.
// Where that was a choice, one line on `err` says what was picked. Recordings that cannot be read are named on `err`
// and passed over while choosing; of what was chosen, a defect is the error.
#pragma once

#include <filesystem>
#include <iosfwd>
#include <vector>

#include "collector/base/result.h"
#include "collector/snapshot/model.h"
#include "collector/snapshot/recording.h"
#include "viewer/options.h"

namespace leakhunt::viewer {

// A recording with what its last snapshot says of the process.
struct ListedProcess {
  snapshot::Recording recording;
  snapshot::Snapshot last;
};

// Every recording under the paths (default ./leakhunt-data), oldest run first, within a run by start of the process.
Result<std::vector<ListedProcess>> ListProcesses(const std::vector<std::string>& paths, std::ostream& err);

struct ChosenSnapshot {
  snapshot::Snapshot snapshot;
  snapshot::Recording recording;  // files up to and including the chosen one
  size_t snapshots = 0;           // of the recording in all
};

// One, or with --all one a process of the run (images replaced by exec left out, as they hold nothing any more).
Result<std::vector<ChosenSnapshot>> ChooseSnapshots(const Options& options, std::ostream& err);

// The same for one path and one snapshot name ("3", "first", "last"), for `diff`.
Result<ChosenSnapshot> ChooseSnapshot(const std::string& path, const std::string& which, int pid, std::ostream& err);

// At most `at_most` snapshots of `chosen`'s recording in time order, spread evenly, the chosen one last. Those that
// cannot be read are named on `err` and left out.
std::vector<snapshot::Snapshot> ReadHistory(const ChosenSnapshot& chosen, size_t at_most, std::ostream& err);

}  // namespace leakhunt::viewer
