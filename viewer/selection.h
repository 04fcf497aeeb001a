// Which snapshot of which process a report is about: the rules of `PATH`, --pid, --all and --snapshot.
//
// Of a directory of recordings: the newest run, in it the process started first, of that its last image after execs.
// Where that was a choice, one line on `err` says what was picked. Recordings and snapshots that cannot be read are
// named on `err` and passed over; the good snapshots of a recording are used.
#pragma once

#include <filesystem>
#include <iosfwd>
#include <vector>

#include "collector/base/result.h"
#include "collector/snapshot/model.h"
#include "collector/snapshot/recording.h"
#include "viewer/options.h"
#include "viewer/which_snapshot.h"

namespace leakhunt::viewer {

// A recording with what its newest readable snapshot says of the process.
struct ListedProcess {
  snapshot::Recording recording;  // files after `last` left out
  snapshot::Snapshot last;
};

// Every recording under the paths (default ./leakhunt-data), oldest run first, within a run by start of the process.
Result<std::vector<ListedProcess>> ListProcesses(const std::vector<std::string>& paths, std::ostream& err);

// True when the options name neither one process nor one file: a report of a run is about every process of it.
bool MeansWholeRun(const Options& options);

// The processes of the newest run by start, images that another one replaced left out: they hold nothing any more.
Result<std::vector<ListedProcess>> ListNewestRun(const std::vector<std::string>& paths, std::ostream& err);

// One, or with --all one a process of the run (images replaced by exec left out, as they hold nothing any more).
Result<std::vector<ChosenSnapshot>> ChooseSnapshots(const Options& options, std::ostream& err);

// The same for one path and one name of a snapshot (which_snapshot.h), for `diff`.
Result<ChosenSnapshot> ChooseSnapshot(const std::string& path, const std::string& which, int pid, std::ostream& err);

// At most `at_most` snapshots of `chosen`'s recording in time order, spread evenly, the chosen one last. Those that
// cannot be read are named on `err` and left out.
std::vector<snapshot::Snapshot> ReadHistory(const ChosenSnapshot& chosen, size_t at_most, std::ostream& err);

}  // namespace leakhunt::viewer
