// One recorded process image: its pages, its vitals, its schedule, its directory.
//
// Runs on the collector's event loop. Takes snapshots and writes them; knows nothing of sockets. Failures to write
// are said once and leave the recorder working: the next snapshot tries again.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "collector/ledger/ledger.h"
#include "collector/record/approach.h"
#include "collector/record/ending.h"
#include "collector/record/recording_directory.h"
#include "collector/record/schedule.h"
#include "collector/watch/proc_directory.h"
#include "collector/watch/thread_lister.h"
#include "collector/watch/vitals.h"

namespace leakhunt::record {

// What the collector's run says of every recording.
struct RunInfo {
  std::string id;
  int64_t started_ms = 0;
};

// Told of each snapshot of a running process that is on disk.
using OnWritten = std::function<void(const std::filesystem::path& recording, uint32_t number)>;

struct RecorderOptions {
  std::filesystem::path output;
  int64_t interval_ms = 60'000;
  std::vector<uint64_t> rss_thresholds;
  uint64_t max_disk_bytes = 0;
  bool may_continue = true;  // false: the process is younger than the collector, or cannot be told from another
  OnWritten on_written;
  std::function<void(const std::filesystem::path& recording, uint64_t bytes)> on_stored;  // each snapshot
  std::function<bool()> make_room;  // removes an ended recording; false: there is none
  // Asked at the end of an image that has no snapshot on disk, with what it holds. False: nothing is kept of it.
  std::function<bool(double live_bytes, uint64_t open_handles)> keep_short;
  std::function<void(const std::string& why)> on_unwritten;  // told of each failure to write, in words
};

// Facts about the process that its pages do not know or cannot be trusted with.
struct ProcessFacts {
  pid_t pid = 0;
  uint32_t uid = 0;
  uint32_t image = 0;    // exec number, never below the predecessor's
  std::string previous;  // directory name of the image before an exec
  bool run_first = false;
  int64_t process_started_ms = 0;  // by /proc; 0 = not visible
};

class ImageRecorder {
 public:
  // `header` is the ledger's, just read. `process` may be invalid (another pid namespace, already gone).
  ImageRecorder(std::unique_ptr<ledger::ProcessLedger> ledger, const protocol::ProcessHeader& header,
                watch::ProcDirectory process, ProcessFacts facts, RecorderOptions options, RunInfo* run);

  // First vitals, after the guest was welcomed. `own_socket_inode`: its end of its connection; not the program's
  // handle.
  void Begin(uint64_t own_socket_inode);

  // Looks at header and vitals; returns the reason of a snapshot that is due, or null.
  const char* Tick(int64_t now_ms);

  // How long the next Tick may wait: less when a limit or a threshold comes close.
  int64_t NextLookMs() const { return next_look_ms_; }

  // Takes and writes a snapshot of the running process.
  void Take(const char* reason, const std::string& label);

  // The last snapshot, of an image that has ended. The recorder is of no use afterwards.
  void Finish(const Ending& ending);

  const ProcessFacts& Facts() const { return facts_; }
  const protocol::ProcessHeader& Header() const { return header_; }
  protocol::ProcessHeader RefreshHeader();
  const watch::ProcDirectory& Process() const { return process_; }
  const RecordingDirectory& Directory() const { return directory_; }

  // Makes the directory where it is not there, so that it has a name.
  void MakeDirectory() { (void)directory_.NextFile(); }
  bool OomKilled() const { return vitals_watch_.OomKills() > 0; }
  void ForgetConnection() { own_socket_inode_ = 0; }

  // The guest re-published the same image in other pages.
  void ReplaceLedger(std::unique_ptr<ledger::ProcessLedger> ledger) { ledger_ = std::move(ledger); }

 private:
  void ReadVitals(int64_t now_ms, watch::SmapsWish wish);
  void LookAtGoals(int64_t now_ms);
  ScheduleReading Readings() const;
  bool Capture(int64_t now_ms, bool alive, snapshot::SnapshotWriter* writer, snapshot::Snapshot* snapshot);
  void Describe(snapshot::Snapshot* snapshot) const;
  void AddVitals(const snapshot::SnapshotWriter& writer, snapshot::Snapshot* snapshot, bool alive);
  Status Write(snapshot::SnapshotWriter* writer, snapshot::Snapshot* snapshot);
  Status TryFinish(const Ending& ending, int64_t now_ms);
  bool MakeRoomForLast(const Error& error);
  bool IsWorthKeeping(const snapshot::SnapshotWriter& writer, const snapshot::Snapshot& snapshot) const;
  std::string WriteTopic() const;
  void NoticeUnwritten(const Error& error);

  std::unique_ptr<ledger::ProcessLedger> ledger_;
  protocol::ProcessHeader header_;
  watch::ProcDirectory process_;
  ProcessFacts facts_;
  RecorderOptions options_;
  RunInfo* run_;
  RecordingDirectory directory_;
  SnapshotSchedule schedule_;
  watch::VitalsWatch vitals_watch_;
  watch::ThreadLister threads_;
  snapshot::Limits limits_;
  std::vector<snapshot::VitalsPoint> vitals_;  // since the last snapshot that was written
  snapshot::VitalsPoint latest_;
  std::vector<snapshot::Gap> gaps_;
  uint64_t leakhunt_bytes_ = 0;
  uint64_t own_socket_inode_ = 0;
  uint64_t own_descriptors_ = 2;  // leakhunt's, among the process's; counted at each snapshot
  uint64_t most_handles_ = 0;  // the highest RLIMIT_NOFILE seen, or number open; 0 = not known
  Approach to_cgroup_limit_, to_rss_threshold_;
  int64_t next_look_ms_ = Approach::kLatestMs;
  int64_t next_vitals_ms_ = 0;
  int64_t next_limits_ms_ = 0;
};

int64_t NowMs();

}  // namespace leakhunt::record
