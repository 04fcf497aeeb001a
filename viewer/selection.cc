#include "viewer/selection.h"

#include <fmt/format.h>

#include <algorithm>
#include <ostream>

#include "collector/base/clean_text.h"

namespace leakhunt::viewer {
namespace {

namespace fs = std::filesystem;
using snapshot::ProcessInfo;
using snapshot::Recording;
using snapshot::Snapshot;

bool IsFile(const std::string& path) {
  std::error_code ignored;
  return fs::is_regular_file(path, ignored);
}

Result<std::vector<Recording>> FindAll(const std::vector<std::string>& paths) {
  std::vector<Recording> all;
  std::vector<std::string> places = paths.empty() ? std::vector<std::string>{"./leakhunt-data"} : paths;
  for (const std::string& place : places) {
    Result<std::vector<Recording>> found = snapshot::FindRecordings(place);
    if (!found) return std::move(found.error());
    for (Recording& recording : *found) all.push_back(std::move(recording));
  }
  return all;
}

// A file alone stands for its recording up to there, so that growth can be told.
Recording WithOlderSiblings(Recording single) {
  fs::path file = single.files.front();
  Result<std::vector<Recording>> found = snapshot::FindRecordings(file.parent_path().empty() ? "." : file.parent_path());
  if (!found || found->size() != 1) return single;
  auto& files = found->front().files;
  auto at = std::find_if(files.begin(), files.end(), [&](const fs::path& f) { return f.filename() == file.filename(); });
  if (at == files.end()) return single;
  single.files.assign(files.begin(), at + 1);
  single.files.back() = file;
  return single;
}

bool StartedBefore(const ListedProcess& a, const ListedProcess& b) {
  const ProcessInfo &p = a.last.process, &q = b.last.process;
  return std::tie(p.run_started_ms, p.run_id, p.started_ms, p.pid, p.image, a.recording.directory) <
         std::tie(q.run_started_ms, q.run_id, q.started_ms, q.pid, q.image, b.recording.directory);
}

bool SameRun(const ListedProcess& a, const ListedProcess& b) {
  return a.last.process.run_id == b.last.process.run_id && a.last.process.run_started_ms == b.last.process.run_started_ms;
}

// Follows execs: the image whose recording says that it came after this one's.
const ListedProcess& LastImage(const std::vector<const ListedProcess*>& run, const ListedProcess& first) {
  const ListedProcess* image = &first;
  for (size_t steps = 0; steps < run.size(); ++steps) {
    auto next = std::find_if(run.begin(), run.end(), [&](const ListedProcess* p) {
      return p->last.process.pid == image->last.process.pid && p->last.process.image > image->last.process.image &&
             (p->last.process.previous.empty() || p->last.process.previous == image->recording.directory.filename());
    });
    if (next == run.end()) break;
    image = *next;
  }
  return *image;
}

// Positions of the chosen among `listed` (sorted oldest run first).
std::vector<const ListedProcess*> NewestRun(const std::vector<ListedProcess>& listed) {
  std::vector<const ListedProcess*> run;
  for (const ListedProcess& p : listed) {
    if (SameRun(p, listed.back())) run.push_back(&p);
  }
  return run;
}

const ListedProcess& FirstProcess(const std::vector<const ListedProcess*>& run) {
  for (const ListedProcess* p : run) {
    if (p->last.process.run_first) return LastImage(run, *p);
  }
  return LastImage(run, *run.front());
}

const ListedProcess* ByPid(const std::vector<ListedProcess>& listed, int pid) {
  for (auto p = listed.rbegin(); p != listed.rend(); ++p) {
    if (p->last.process.pid == pid) return &*p;
  }
  return nullptr;
}

void SayChoice(const ListedProcess& chosen, size_t in_run, size_t in_all, std::ostream& err) {
  if (in_all <= 1) return;
  std::string line =
      fmt::format("{}[{}] of {} process{} in the newest run; --pid PID picks another, --all sums them",
                  chosen.last.process.name, chosen.last.process.pid, in_run, in_run == 1 ? "" : "es");
  if (in_all > in_run) line += fmt::format(" ({} recordings of other runs left out)", in_all - in_run);
  err << MessageLine("leakhunt-report", line);
}

// All but the images that another one replaced.
Result<std::vector<ChosenSnapshot>> ReadRun(const std::vector<const ListedProcess*>& run, const std::string& which,
                                            std::ostream& err) {
  std::vector<ChosenSnapshot> chosen;
  for (const ListedProcess* p : run) {
    if (&LastImage(run, *p) != p) continue;
    Result<ChosenSnapshot> one = ReadWhich(p->recording, which, err);
    if (!one) return std::move(one.error());
    chosen.push_back(std::move(*one));
  }
  return chosen;
}

// The file itself, whatever the process held by then.
Result<ChosenSnapshot> ReadFile(const std::string& path) {
  Result<Snapshot> read = snapshot::ReadSnapshot(path);
  if (!read) return std::move(read.error());
  Recording recording = WithOlderSiblings({fs::path(path).parent_path(), {path}});
  const size_t count = recording.files.size();
  return ChosenSnapshot{std::move(*read), std::move(recording), count, false};
}

Result<std::vector<ChosenSnapshot>> One(Result<ChosenSnapshot> chosen) {
  if (!chosen) return std::move(chosen.error());
  std::vector<ChosenSnapshot> list;
  list.push_back(std::move(*chosen));
  return list;
}

}  // namespace

Result<std::vector<ListedProcess>> ListProcesses(const std::vector<std::string>& paths, std::ostream& err) {
  Result<std::vector<Recording>> found = FindAll(paths);
  if (!found) return std::move(found.error());
  std::vector<ListedProcess> listed;
  Error first_defect;
  for (Recording& recording : *found) {
    Result<Snapshot> last = ReadNewest(&recording, err);
    if (last) {
      listed.push_back({std::move(recording), std::move(*last)});
    } else if (first_defect.message.empty()) {
      first_defect = std::move(last.error());
      if (found->size() > 1) err << MessageLine("leakhunt-report", first_defect.message);
    } else {
      err << MessageLine("leakhunt-report", last.error().message);
    }
  }
  if (listed.empty()) return first_defect;
  std::sort(listed.begin(), listed.end(), StartedBefore);
  return listed;
}

bool MeansWholeRun(const Options& options) {
  return options.pid == 0 && !options.all && !(options.paths.size() == 1 && IsFile(options.paths.front()));
}

Result<std::vector<ListedProcess>> ListNewestRun(const std::vector<std::string>& paths, std::ostream& err) {
  Result<std::vector<ListedProcess>> listed = ListProcesses(paths, err);
  if (!listed) return std::move(listed.error());
  const std::vector<const ListedProcess*> run = NewestRun(*listed);
  std::vector<ListedProcess> chosen;
  for (const ListedProcess* p : run) {
    if (&LastImage(run, *p) == p) chosen.push_back(*p);
  }
  return chosen;
}

Result<std::vector<ChosenSnapshot>> ChooseSnapshots(const Options& options, std::ostream& err) {
  if (options.paths.size() == 1 && IsFile(options.paths.front())) {
    return One(ChooseSnapshot(options.paths.front(), options.snapshot, options.pid, err));
  }
  Result<std::vector<ListedProcess>> listed = ListProcesses(options.paths, err);
  if (!listed) return std::move(listed.error());
  std::vector<const ListedProcess*> run = NewestRun(*listed);
  if (options.all) return ReadRun(run, options.snapshot, err);
  if (options.pid != 0) {
    const ListedProcess* wanted = ByPid(*listed, options.pid);
    if (wanted == nullptr) return Error{fmt::format("no recording of pid {}", options.pid)};
    return One(ReadWhich(wanted->recording, options.snapshot, err));
  }
  const ListedProcess& first = FirstProcess(run);
  SayChoice(first, run.size(), listed->size(), err);
  return One(ReadWhich(first.recording, options.snapshot, err));
}

Result<ChosenSnapshot> ChooseSnapshot(const std::string& path, const std::string& which, int pid, std::ostream& err) {
  if (IsFile(path)) {
    return ReadFile(path);
  }
  Options options;
  options.paths = {path};
  options.snapshot = which;
  options.pid = pid;
  Result<std::vector<ChosenSnapshot>> chosen = ChooseSnapshots(options, err);
  if (!chosen) return std::move(chosen.error());
  return std::move(chosen->front());
}

std::vector<Snapshot> ReadHistory(const ChosenSnapshot& chosen, size_t at_most, std::ostream& err) {
  const std::vector<fs::path>& files = chosen.recording.files;
  size_t before = files.size() - 1;  // the chosen one is in memory already
  size_t take = std::min(before, at_most > 0 ? at_most - 1 : 0);
  std::vector<Snapshot> history;
  for (size_t i = 0; i < take; ++i) {
    Result<Snapshot> read = snapshot::ReadSnapshot(files[i * before / take]);
    if (read) {
      history.push_back(std::move(*read));
    } else {
      err << MessageLine("leakhunt-report", read.error().message);
    }
  }
  history.push_back(chosen.snapshot);
  return history;
}

}  // namespace leakhunt::viewer
