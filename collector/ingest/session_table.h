// The processes being recorded: who is admitted, how an exec chains two recordings, how an image ends.
//
// One session a process image. A session starts when a guest's pages arrive (by socket, or taken from the process) and
// ends with its last snapshot: at the process's death, at an exec, or when the collector stops. Runs on the event loop.
// The pages and the peer are hostile: their number is bounded per user, and nothing here trusts the pages for who the
// peer is. A process is the same as another only when the kernel says so: by pid and start in /proc.
#pragma once

#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "collector/ingest/allowance.h"
#include "collector/ingest/event_loop.h"
#include "collector/ingest/short_runs.h"
#include "collector/ingest/user_shares.h"
#include "collector/ingest/work_queue.h"
#include "collector/options.h"
#include "collector/record/image_recorder.h"
#include "collector/record/output_keeper.h"

namespace leakhunt::ingest {

// How this collector came to be; it decides where recordings go and whose.
enum class Mode { kCommand, kServe, kSpawned, kAttach };

using SessionId = uint64_t;  // never reused; 0 = none

// Pages and the process they are said to be of.
struct Arrival {
  UniqueFd memfd;
  pid_t pid = 0;  // 0 = in a pid namespace we cannot see
  uid_t uid = 0;
  UniqueFd pidfd;
};

class SessionTable {
 public:
  SessionTable(EventLoop* loop, const Options& options, Mode mode);
  ~SessionTable();

  // A new session; or the one the pages already belong to, when a guest reconnects. kBusy: not now, and the guest should
  // try again.
  Result<SessionId> Admit(Arrival arrival);
  static constexpr char kBusy[] = "busy";

  // True when `pid`, or a process it descends from, is being recorded or was before it exec'ed. With `-- CMD` also when
  // it descends from this collector, which adopts every orphan of the command's (it is their subreaper).
  bool IsKin(pid_t pid);

  // Before the guest is welcomed: says why its recording cannot be written, as SetOnUnwritten has it. Nothing when it can.
  void CheckOutput(SessionId id);

  // After the guest was welcomed. `socket_inode`: the guest's end of its connection, as /proc shows it.
  void Begin(SessionId id, uint64_t socket_inode);

  // The guest's connection closed: by its death, its exec, or the program closing what it does not know.
  void Disconnected(SessionId id);

  // The guest asked for a snapshot; bounded in rate.
  void Request(SessionId id, const std::string& label);

  // A child of ours was reaped.
  void NoteExit(pid_t pid, int wait_status);

  // Recordings in the given output whose processes ended while no collector was there are marked so, in turns. Later
  // ones are looked at when a recording begins in them.
  void LookAtOutput() { (void)KeeperOf(record::AbsoluteOutput(options_.output)); }

  // The process started by `-- CMD`: its images are the run's first.
  void SetCommand(pid_t pid) { command_pid_ = pid; }

  // Called before an end is judged, so that messages sent before it are seen before it.
  void SetDrain(std::function<void()> drain) { drain_ = std::move(drain); }

  // Told of each snapshot that is on disk. Before the first Admit.
  void SetOnWritten(record::OnWritten on_written) { on_written_ = std::move(on_written); }

  // Told, once a session, why its recording cannot be written, where the program's user learns of it no other way.
  void SetOnUnwritten(std::function<void(SessionId, const std::string&)> told) { on_unwritten_ = std::move(told); }

  // Looks at as many sessions as fit a turn. Milliseconds until the next tick should come.
  int64_t Tick();

  // A turn's share of the snapshots that wait to be made. WorkWaitMs: until there is something to do; -1: nothing is.
  void Work() { work_.Turn(); }
  int64_t WorkWaitMs() const { return work_.WaitMs(); }
  void FinishWork();  // everything that waits, to its end

  void SnapshotAll(const char* reason, const std::string& label);

  // SIGUSR1: of every process; of one alone when the signal was queued with its pid as the value.
  void SnapshotOnSignal(const signalfd_siginfo& info);
  void StopAll();  // last snapshots of everything; the table is empty then

  size_t Count() const { return sessions_.size(); }
  uint64_t EverAdmitted() const { return next_id_ - 1; }

 private:
  struct Session;
  struct Ancestor {
    uint64_t start_ticks = 0;  // by /proc
    uint32_t image = 0;
    std::string directory;
  };

  Session* Find(SessionId id);
  Session* LiveOf(pid_t pid);
  const Ancestor* EarlierImage(pid_t pid, uint64_t start_ticks) const;
  std::optional<bool> LooksKin(pid_t pid);  // nothing: an ancestor ended while it was looked at
  Session* OfPages(const Arrival& arrival, const struct stat& pages);
  bool ConcludeDead(Session* session);
  bool MayBegin(uid_t user);
  record::ProcessFacts FactsOf(const Arrival& arrival, const protocol::ProcessHeader& header, uint64_t start_ticks);
  record::RecorderOptions OptionsOf(const Arrival& arrival, const protocol::ProcessHeader& header,
                                    const watch::ProcDirectory& process);
  std::filesystem::path OutputOf(const Arrival& arrival, const protocol::ProcessHeader& header,
                                 const watch::ProcDirectory& process);
  std::optional<std::filesystem::path> OutputOfParent(const watch::ProcDirectory& process);
  bool SpeaksThroughProgram(const Session& session) const;
  void Unwritten(SessionId id, const std::string& why);
  void WatchDeath(Session* session);
  void Died(SessionId id);
  std::optional<int> WaitStatusOf(const Session& session) const;
  bool IsAlive(const Session& session) const;
  bool TickOne(Session* session, int64_t now_ms);
  void Want(Session* session, const char* reason, const std::string& label);
  void Conclude(Session* session, std::optional<int> wait_status);
  void FinishExec(Session* session);
  void NoteExec(Session* session);
  void Close(Session* session);
  void WorkDone(SessionId id);
  record::OutputKeeper* KeeperOf(const std::filesystem::path& output);
  bool IsRecordingInto(const std::filesystem::path& recording) const;
  void KeepOutput(const Arrival& arrival, const std::string& program, record::RecorderOptions* options);
  void Erase(SessionId id);

  EventLoop* loop_;
  const Options& options_;
  Mode mode_;
  pid_t command_pid_ = 0;
  record::RunInfo run_;
  std::function<void()> drain_;
  record::OnWritten on_written_;
  std::function<void(SessionId, const std::string&)> on_unwritten_;
  SessionId next_id_ = 1;
  int64_t begun_ms_ = 0;  // of this collector
  std::map<SessionId, std::unique_ptr<Session>> sessions_;
  UserShares shares_;              // of sessions
  UserAllowances beginnings_;      // new recordings of strangers
  UserAllowances requests_;        // snapshots that strangers ask for
  SessionId next_tick_ = 0;        // the session that the next tick begins with
  std::vector<std::pair<std::filesystem::path, uint32_t>> written_;  // not yet told to on_written_
  std::map<std::filesystem::path, std::unique_ptr<record::OutputKeeper>> keepers_;
  ShortRuns short_runs_;
  bool stopping_ = false;
  WorkQueue work_;                 // after what its work uses
  std::map<pid_t, Ancestor> ancestors_;  // images that exec'ed, by pid
  std::map<pid_t, int> reaped_;          // wait statuses of our own children
};

}  // namespace leakhunt::ingest
