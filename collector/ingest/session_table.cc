#include "collector/ingest/session_table.h"

#include <sys/epoll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <new>
#include <random>
#include <utility>
#include <vector>

#include "collector/ingest/allowance.h"
#include "collector/ingest/program_directory.h"
#include "collector/notice.h"
#include "collector/watch/process_end.h"

namespace leakhunt::ingest {
namespace {

constexpr size_t kMaxSessions = 1024;
constexpr size_t kMaxRemembered = 8192;
constexpr int kMaxGenerations = 64;  // between a process and the recorded one it descends from
constexpr int64_t kStatusPatienceMs = 1000;  // for the parent to reap, when only then the kernel tells the status
constexpr int64_t kExecPatienceMs = 1000;    // an exec that was announced and not refused
constexpr int64_t kStrangersIntervalMs = 100;  // the shortest that another user's program may wish for
constexpr int kKinLooks = 3;
constexpr SessionId kKeepersWork = SessionId{1} << 62;  // in the queue, above all sessions
constexpr size_t kMostWanted = 32;  // snapshots of one process that wait
constexpr char kDefaultOutput[] = "leakhunt-data";

bool SaidExec(const protocol::ProcessHeader& header) {
  return header.image_end == static_cast<uint32_t>(protocol::ImageEnd::kExec);
}

std::string NewRunId(int64_t now_ms) {
  char id[40];
  std::snprintf(id, sizeof(id), "%012llx-%08x", static_cast<unsigned long long>(now_ms), std::random_device{}());
  return id;
}

// When the process of this /proc directory started, since boot; 0 = not readable.
uint64_t StartTicksOf(const watch::ProcDirectory& process) {
  auto stat = watch::ParseProcessStat(process.Read("stat").value_or(""));
  return stat ? stat->start_ticks : 0;
}

// Hostile pages may ask for more memory than there is: that costs their own snapshot.
template <typename Body>
void Guarded(Body body) {
  try {
    body();
  } catch (const std::bad_alloc&) {
    NoticeOnce("memory", "no memory for a snapshot; the next one tries again");
  }
}

template <typename Map>
void Bound(Map* map) {
  if (map->size() > kMaxRemembered) map->clear();
}

}  // namespace

struct SessionTable::Session {
  SessionId id = 0;
  std::unique_ptr<record::ImageRecorder> recorder;
  UniqueFd pidfd;
  EventLoop::SourceId death_source = 0;
  dev_t pages_device = 0;
  ino_t pages_inode = 0;
  uint64_t start_ticks = 0;  // by /proc; 0 = not visible from here
  bool connected = true;
  bool invisible = false;  // in another pid namespace: only its connection tells of its life
  int64_t died_ms = 0;     // 0 = alive as far as known
  int64_t exec_said_ms = 0;
  bool said_unwritten = false;
  Allowance requests{20, 1000};
  // How its image ended, as far as known; kNot while it may go on. Its last snapshot may be waiting for its turn then.
  enum class Closing { kNot, kEnded, kReplaced } closing = Closing::kNot;
  std::optional<int> wait_status;
  bool last_wanted = false;

  bool Open() const { return closing == Closing::kNot; }
};

SessionTable::SessionTable(EventLoop* loop, const Options& options, Mode mode)
    : loop_(loop),
      options_(options),
      mode_(mode),
      begun_ms_(record::NowMs()),
      shares_(CapacityByDescriptors(kMaxSessions)),
      beginnings_(128, 50),
      requests_(40, 250) {
  run_.started_ms = begun_ms_;
  run_.id = NewRunId(run_.started_ms);
}

SessionTable::~SessionTable() = default;

SessionTable::Session* SessionTable::Find(SessionId id) {
  auto found = sessions_.find(id);
  return found == sessions_.end() ? nullptr : found->second.get();
}

SessionTable::Session* SessionTable::LiveOf(pid_t pid) {
  for (auto& [id, session] : sessions_) {
    // The pid of an invisible process is what it says itself, and no proof of anything.
    if (pid != 0 && session->Open() && !session->invisible && session->recorder->Facts().pid == pid) return session.get();
  }
  return nullptr;
}

const SessionTable::Ancestor* SessionTable::EarlierImage(pid_t pid, uint64_t start_ticks) const {
  auto found = ancestors_.find(pid);
  return found != ancestors_.end() && found->second.start_ticks == start_ticks ? &found->second : nullptr;
}

std::optional<bool> SessionTable::LooksKin(pid_t pid) {
  for (int generation = 0; generation < kMaxGenerations && pid > 1; ++generation) {
    if (mode_ == Mode::kCommand && pid == getpid()) return true;
    auto process = watch::ProcDirectory::Open(pid);
    auto stat = process ? watch::ParseProcessStat(process->Read("stat").value_or("")) : std::nullopt;
    if (!stat) return generation == 0 ? std::optional(false) : std::nullopt;
    Session* session = LiveOf(pid);
    if (session != nullptr && session->start_ticks == stat->start_ticks) return true;
    if (EarlierImage(pid, stat->start_ticks) != nullptr) return true;
    pid = stat->parent_pid;
  }
  return mode_ == Mode::kCommand && pid == getpid();
}

bool SessionTable::IsKin(pid_t pid) {
  for (int look = 0; look < kKinLooks; ++look) {
    if (auto kin = LooksKin(pid)) return *kin;  // else an ancestor ended, and its child has another parent now
  }
  return false;
}

std::optional<std::filesystem::path> SessionTable::OutputOfParent(const watch::ProcDirectory& process) {
  auto stat = watch::ParseProcessStat(process.Read("stat").value_or(""));
  Session* parent = stat ? LiveOf(stat->parent_pid) : nullptr;
  if (parent == nullptr) return std::nullopt;
  return parent->recorder->Directory().Output();
}

// A program's own wish (LEAKHUNT_OUTPUT) counts only from our own user: nobody else may say where we write. Relative
// paths are relative to the program, so that a collector left over from another directory serves a new program right;
// children of a recorded process go beside their parent, wherever a build has changed directory to.
std::filesystem::path SessionTable::OutputOf(const Arrival& arrival, const protocol::ProcessHeader& header,
                                             const watch::ProcDirectory& process) {
  std::filesystem::path ours = record::AbsoluteOutput(options_.output);
  if (mode_ == Mode::kCommand || mode_ == Mode::kAttach) return ours;
  if (arrival.uid != geteuid()) return mode_ == Mode::kSpawned ? OutputOfParent(process).value_or(ours) : ours;
  if (mode_ == Mode::kServe && options_.output_given) return ours;
  if (header.output[0] == '\0' && mode_ == Mode::kServe) return ours;
  std::filesystem::path wish = header.output[0] == '\0' ? kDefaultOutput : header.output;
  if (wish.is_absolute()) return SeenFromHere(wish, header, process).value_or(ours);
  if (auto parents = OutputOfParent(process)) return *parents;
  auto directory = StartDirectory(header, process);
  return directory ? *directory / wish : mode_ == Mode::kServe ? ours : wish;
}

// A collector that a program started has no stderr of the program's, and one that serves has its own, where the user of a
// program that wants another directory does not look.
bool SessionTable::SpeaksThroughProgram(const Session& session) const {
  return mode_ == Mode::kSpawned ||
         (mode_ == Mode::kServe && session.recorder->Directory().Output() != record::AbsoluteOutput(options_.output));
}

void SessionTable::Unwritten(SessionId id, const std::string& why) {
  Session* session = Find(id);
  if (session == nullptr || !on_unwritten_ || session->said_unwritten || !SpeaksThroughProgram(*session)) return;
  session->said_unwritten = true;
  on_unwritten_(id, why);
}

void SessionTable::CheckOutput(SessionId id) {
  Session* session = Find(id);
  if (session == nullptr || !SpeaksThroughProgram(*session)) return;
  const std::filesystem::path& output = session->recorder->Directory().Output();
  if (auto why = record::WhyUnwritable(output)) Unwritten(id, "cannot write recordings to " + output.native() + ": " + *why);
}

record::RecorderOptions SessionTable::OptionsOf(const Arrival& arrival, const protocol::ProcessHeader& header,
                                                const watch::ProcDirectory& process) {
  record::RecorderOptions recorder;
  recorder.output = OutputOf(arrival, header, process);
  int64_t wish_ms = header.snapshot_interval_ms != 0 ? header.snapshot_interval_ms : kDefaultIntervalMs;
  if (!IsFavoured(arrival.uid)) wish_ms = std::max(wish_ms, kStrangersIntervalMs);
  recorder.interval_ms = std::max<int64_t>(options_.interval_ms.value_or(wish_ms), 10);
  recorder.rss_thresholds = options_.snapshot_at_rss;
  recorder.max_disk_bytes = options_.max_disk_bytes;
  KeepOutput(arrival, header.name, &recorder);
  // Told on the loop's thread: it starts a process that dies with the thread that started it.
  recorder.on_written = [this](const std::filesystem::path& recording, uint32_t number) {
    written_.emplace_back(recording, number);
  };
  recorder.on_unwritten = [this, id = next_id_](const std::string& why) { Unwritten(id, why); };
  return recorder;
}

bool SessionTable::IsRecordingInto(const std::filesystem::path& recording) const {
  for (const auto& [id, session] : sessions_) {
    if (session->recorder->Directory().Directory() == recording) return true;
  }
  return false;
}

record::OutputKeeper* SessionTable::KeeperOf(const std::filesystem::path& output) {
  auto& keeper = keepers_[output];
  if (keeper != nullptr) return keeper.get();
  keeper = std::make_unique<record::OutputKeeper>(
      output, options_.max_disk_total_bytes,
      [this](const std::filesystem::path& recording) { return IsRecordingInto(recording); }, IsFavoured);
  record::OutputKeeper* made = keeper.get();
  work_.Add(
      kKeepersWork + keepers_.size(), geteuid(), [this, made] { Guarded([&] { made->MarkLost([this] { return stopping_; }); }); }, [] {});
  return made;
}

// Keepers of many directories (a program may name its own) are few: only our own user's programs are believed.
void SessionTable::KeepOutput(const Arrival& arrival, const std::string& program, record::RecorderOptions* options) {
  record::OutputKeeper* keeper = KeeperOf(options->output);
  options->on_stored = [keeper, uid = arrival.uid](const std::filesystem::path& recording, uint64_t bytes) {
    keeper->Wrote(recording, uid, bytes);
  };
  options->make_room = [keeper] { return keeper->RemoveOldest(); };
  options->keep_short = [this, uid = arrival.uid, program](double live_bytes, uint64_t open_handles) {
    return short_runs_.Keep(uid, program, live_bytes, open_handles);
  };
}

record::ProcessFacts SessionTable::FactsOf(const Arrival& arrival, const protocol::ProcessHeader& header,
                                           uint64_t start_ticks) {
  record::ProcessFacts facts;
  facts.pid = arrival.pid != 0 ? arrival.pid : static_cast<pid_t>(header.pid);
  facts.uid = arrival.uid;
  facts.image = header.image;
  facts.run_first = command_pid_ != 0 ? arrival.pid == command_pid_ : next_id_ == 1;
  if (const Ancestor* earlier = EarlierImage(arrival.pid, start_ticks)) {
    facts.previous = earlier->directory;
    facts.image = std::max(facts.image, earlier->image + 1);
  }
  return facts;
}

// True when the session's process had ended: its recording is then finished. A pid alone does not tell, because it may
// be another process's by now; the pidfd and the held /proc directory do.
bool SessionTable::ConcludeDead(Session* session) {
  if (IsAlive(*session)) return false;
  Conclude(session, WaitStatusOf(*session));
  return true;
}

// The session that `pages` already belong to, when they come from its own process again. A child that inherited the
// descriptor is not it.
SessionTable::Session* SessionTable::OfPages(const Arrival& arrival, const struct stat& pages) {
  for (auto& [id, session] : sessions_) {
    if (!session->Open() || session->pages_device != pages.st_dev || session->pages_inode != pages.st_ino) continue;
    const bool same = session->invisible ? arrival.pid == 0 && session->recorder->Facts().uid == arrival.uid
                                         : arrival.pid == session->recorder->Facts().pid && IsAlive(*session);
    if (same) return session.get();
  }
  return nullptr;
}

// Strangers wait at a bounded rate; root and our own user do not, because a build starts thousands of processes.
bool SessionTable::MayBegin(uid_t user) {
  if (!shares_.HasRoom(user)) {
    NoticeOnce("sessions " + std::to_string(user),
               "as many processes of user " + std::to_string(user) + " are recorded as may be: further ones wait");
    return false;
  }
  return IsFavoured(user) || beginnings_.Take(user, record::NowMs());
}

Result<SessionId> SessionTable::Admit(Arrival arrival) {
  struct stat pages {};
  if (fstat(arrival.memfd.Get(), &pages) != 0) return ErrnoError("cannot look at the pages", errno);
  if (Session* same = OfPages(arrival, pages)) {
    same->connected = true;
    return same->id;
  }
  if (!MayBegin(arrival.uid)) return Error{kBusy};
  auto ledger = ledger::ProcessLedger::Open(std::move(arrival.memfd));
  if (!ledger) return ledger.error();
  auto header = (*ledger)->ReadHeader();
  if (!header) return header.error();
  if (Session* older = LiveOf(arrival.pid); older != nullptr && !ConcludeDead(older)) {
    bool same_image = older->recorder->Header().started_ns == header->started_ns &&
                      older->recorder->Header().start_ticks == header->start_ticks;
    if (same_image) {
      if (work_.Has(older->id)) return Error{kBusy};  // its old pages are being read
      older->recorder->ReplaceLedger(std::move(*ledger));
      older->pages_device = pages.st_dev;
      older->pages_inode = pages.st_ino;
      older->connected = true;
      return older->id;
    }
    FinishExec(older);  // alive and another image: it exec'ed
  }
  watch::ProcDirectory process;
  if (arrival.pid != 0) {
    if (auto opened = watch::ProcDirectory::Open(arrival.pid)) process = std::move(*opened);
  }
  const uint64_t start_ticks = StartTicksOf(process);
  record::ProcessFacts facts = FactsOf(arrival, *header, start_ticks);
  facts.process_started_ms = watch::StartMs(start_ticks);
  record::RecorderOptions recorder_options = OptionsOf(arrival, *header, process);
  recorder_options.may_continue = start_ticks != 0 && facts.process_started_ms <= begun_ms_;
  auto session = std::make_unique<Session>();
  session->id = next_id_++;
  session->recorder = std::make_unique<record::ImageRecorder>(std::move(*ledger), *header, std::move(process),
                                                              std::move(facts), std::move(recorder_options), &run_);
  session->pidfd = std::move(arrival.pidfd);
  session->invisible = arrival.pid == 0;
  session->start_ticks = start_ticks;
  session->pages_device = pages.st_dev;
  session->pages_inode = pages.st_ino;
  if (IsAlive(*session)) reaped_.erase(arrival.pid);  // an earlier process of that number
  WatchDeath(session.get());
  Detail("recording process " + std::to_string(session->recorder->Facts().pid) + " (" + header->name + ")");
  SessionId id = session->id;
  shares_.Take(arrival.uid);
  sessions_[id] = std::move(session);
  return id;
}

void SessionTable::WatchDeath(Session* session) {
  if (!session->pidfd.Valid()) return;
  SessionId id = session->id;
  auto source = loop_->Add(session->pidfd.Get(), EPOLLIN, [this, id](uint32_t) {
    if (drain_) drain_();
    Died(id);
  });
  if (source) session->death_source = *source;
}

std::optional<int> SessionTable::WaitStatusOf(const Session& session) const {
  auto reaped = reaped_.find(session.recorder->Facts().pid);
  if (reaped != reaped_.end()) return reaped->second;
  return watch::ExitWaitStatus(session.pidfd.Get(), session.recorder->Process());
}

void SessionTable::Died(SessionId id) {
  Session* session = Find(id);
  if (session == nullptr) return;
  loop_->Remove(std::exchange(session->death_source, 0));
  if (session->died_ms == 0) session->died_ms = record::NowMs();
  if (auto status = WaitStatusOf(*session)) Conclude(session, status);
}

// A snapshot of the running process as soon as it is its turn. What is read of a process waits in the order it was wanted.
void SessionTable::Want(Session* session, const char* reason, const std::string& label) {
  if (!session->Open() || work_.WaitingOf(session->id) >= kMostWanted) return;
  record::ImageRecorder* recorder = session->recorder.get();  // outlives its work: Erase comes after
  work_.Add(
      session->id, recorder->Facts().uid, [=] { Guarded([&] { recorder->Take(reason, label); }); },
      [this, id = session->id] { WorkDone(id); });
}

void SessionTable::Conclude(Session* session, std::optional<int> wait_status) {
  if (!session->Open()) return;
  session->closing = Session::Closing::kEnded;
  session->wait_status = wait_status;
  Close(session);
}

void SessionTable::FinishExec(Session* session) {
  if (!session->Open()) return;
  session->closing = Session::Closing::kReplaced;
  NoteExec(session);
  Close(session);
}

// The next image names this one's directory.
void SessionTable::NoteExec(Session* session) {
  const record::ProcessFacts& facts = session->recorder->Facts();
  session->recorder->MakeDirectory();
  Bound(&ancestors_);
  ancestors_[facts.pid] = {session->start_ticks, facts.image, session->recorder->Directory().Name()};
}

// The last snapshot, once nothing else is being read of the process.
void SessionTable::Close(Session* session) {
  loop_->Remove(std::exchange(session->death_source, 0));
  work_.DropWaiting(session->id);
  if (session->last_wanted || work_.Has(session->id)) return;
  session->last_wanted = true;
  record::ImageRecorder* recorder = session->recorder.get();
  const protocol::ProcessHeader header = recorder->RefreshHeader();
  if (session->closing == Session::Closing::kEnded && SaidExec(header)) {
    session->closing = Session::Closing::kReplaced;
    NoteExec(session);
  }
  const record::Ending ending = session->closing == Session::Closing::kReplaced
                                    ? record::ExecEnding()
                                    : record::EndingOf(session->wait_status, header, recorder->OomKilled());
  work_.Add(
      session->id, recorder->Facts().uid, [=] { Guarded([&] { recorder->Finish(ending); }); },
      [this, id = session->id] { Erase(id); });
}

void SessionTable::WorkDone(SessionId id) {
  for (const auto& [recording, number] : std::exchange(written_, {})) {
    if (on_written_) on_written_(recording, number);
  }
  Session* session = Find(id);
  if (session != nullptr && !session->Open() && !work_.Has(id)) Close(session);
}

void SessionTable::FinishWork() {
  while (!work_.Empty()) work_.FinishAll();
}

void SessionTable::Erase(SessionId id) {
  Session* session = Find(id);
  if (session == nullptr) return;
  loop_->Remove(session->death_source);
  shares_.GiveBack(session->recorder->Facts().uid);
  sessions_.erase(id);
}

void SessionTable::Begin(SessionId id, uint64_t socket_inode) {
  if (Session* session = Find(id); session != nullptr && !work_.Has(id)) session->recorder->Begin(socket_inode);
}

void SessionTable::Disconnected(SessionId id) {
  Session* session = Find(id);
  if (session == nullptr) return;
  session->connected = false;
  session->recorder->ForgetConnection();
  // A header that is being read is looked at again on the next tick.
  if (SaidExec(work_.Has(id) ? session->recorder->Header() : session->recorder->RefreshHeader())) return FinishExec(session);
  if (session->invisible) Conclude(session, std::nullopt);
}

void SessionTable::Request(SessionId id, const std::string& label) {
  Session* session = Find(id);
  if (session == nullptr || session->died_ms != 0) return;
  const uid_t user = session->recorder->Facts().uid;
  const int64_t now_ms = record::NowMs();
  if (!session->requests.Take(now_ms) || (!IsFavoured(user) && !requests_.Take(user, now_ms))) return;
  Want(session, "request", label);
}

void SessionTable::NoteExit(pid_t pid, int wait_status) {
  Bound(&reaped_);
  reaped_[pid] = wait_status;
  Session* session = LiveOf(pid);
  if (session != nullptr) Conclude(session, wait_status);
}

bool SessionTable::IsAlive(const Session& session) const {
  if (session.died_ms != 0) return false;
  if (session.invisible) return session.connected;
  if (session.pidfd.Valid()) return !watch::HasEnded(session.pidfd.Get());
  const watch::ProcDirectory& process = session.recorder->Process();
  auto stat = watch::ParseProcessStat(process.Read("stat").value_or(""));
  return stat && stat->state != 'X' && (stat->state != 'Z' || process.OfLivingThread());
}

// False when the session is over.
bool SessionTable::TickOne(Session* session, int64_t now_ms) {
  if (!session->Open()) return false;
  if (!IsAlive(*session)) {
    if (session->died_ms == 0) session->died_ms = now_ms;
    auto status = WaitStatusOf(*session);
    if (!status && now_ms - session->died_ms < kStatusPatienceMs) return true;
    return Conclude(session, status), false;
  }
  if (work_.Has(session->id)) return true;  // being read just now
  if (const char* reason = session->recorder->Tick(now_ms)) Want(session, reason, "");
  bool exec_said = SaidExec(session->recorder->Header()) && !session->connected;
  if (!exec_said) {
    session->exec_said_ms = 0;
  } else if (session->exec_said_ms == 0) {
    session->exec_said_ms = now_ms;
  } else if (now_ms - session->exec_said_ms > kExecPatienceMs) {
    return FinishExec(session), false;
  }
  return true;
}

int64_t SessionTable::Tick() {
  const int64_t now_ms = record::NowMs();
  int64_t next_ms = record::Approach::kLatestMs;
  std::vector<SessionId> ids;
  for (const auto& [id, session] : sessions_) ids.push_back(id);
  auto first = std::lower_bound(ids.begin(), ids.end(), next_tick_);
  std::rotate(ids.begin(), first, ids.end());  // those that an earlier tick had no time for
  next_tick_ = 0;
  for (SessionId id : ids) {
    if (record::NowMs() - now_ms > Turns::kTurnMs) {
      next_tick_ = id;
      return 0;
    }
    Session* session = Find(id);
    if (session != nullptr && TickOne(session, now_ms)) next_ms = std::min(next_ms, session->recorder->NextLookMs());
  }
  return next_ms;
}

void SessionTable::SnapshotAll(const char* reason, const std::string& label) {
  std::vector<Session*> alive;
  for (auto& [id, session] : sessions_) {
    if (session->Open() && IsAlive(*session)) alive.push_back(session.get());
  }
  for (Session* session : alive) Want(session, reason, label);
}

void SessionTable::SnapshotOnSignal(const signalfd_siginfo& info) {
  bool found = false;
  for (auto& [id, session] : sessions_) {
    if (info.ssi_code != SI_QUEUE || session->recorder->Facts().pid != info.ssi_int) continue;
    found = true;
    if (session->Open() && IsAlive(*session)) Want(session.get(), "request", "");
  }
  if (!found) SnapshotAll("request", "");
}

void SessionTable::StopAll() {
  if (drain_) drain_();
  stopping_ = true;
  FinishWork();
  std::vector<SessionId> ids;
  for (const auto& [id, session] : sessions_) ids.push_back(id);
  for (SessionId id : ids) {
    Session* session = Find(id);
    if (session == nullptr) continue;
    if (IsAlive(*session)) Want(session, "stop", "");
    else Conclude(session, WaitStatusOf(*session));
  }
  FinishWork();
  while (!sessions_.empty()) Erase(sessions_.begin()->first);
  stopping_ = false;
  if (short_runs_.Folded() > 0) {
    Notice(std::to_string(short_runs_.Folded()) +
           " short runs held no more at their end than earlier ones of the same programs, and were not kept");
  }
}

}  // namespace leakhunt::ingest
