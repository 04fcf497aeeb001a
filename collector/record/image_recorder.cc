#include "collector/record/image_recorder.h"

#include <malloc.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cmath>

#include "collector/notice.h"
#include "collector/watch/kernel_handles.h"
#include "collector/watch/memory_parts.h"

namespace leakhunt::record {
namespace {

constexpr int64_t kVitalsPauseMs = 1000;
constexpr int64_t kSamePointMs = 50;
constexpr size_t kMostHandlesUnknown = size_t{1} << 16;  // of a process whose limit could never be read
constexpr size_t kMaxVitals = 1200;  // between two snapshots; then every second one of the older half goes

int64_t StartedMs(const protocol::ProcessHeader& header) { return header.started_realtime_ns / 1'000'000; }

ImageIdentity IdentityOf(const protocol::ProcessHeader& header, const ProcessFacts& facts) {
  return {facts.pid, header.name, StartedMs(header), facts.image, facts.uid, facts.process_started_ms};
}

std::string HostName() {
  char name[256] = {};
  return gethostname(name, sizeof(name) - 1) == 0 ? name : "";
}

void ThinOlderHalf(std::vector<snapshot::VitalsPoint>* points) {
  std::vector<snapshot::VitalsPoint> kept;
  for (size_t i = 0; i < points->size(); ++i) {
    if (i >= points->size() / 2 || i % 2 == 0) kept.push_back((*points)[i]);
  }
  *points = std::move(kept);
}

}  // namespace

int64_t NowMs() {
  using std::chrono::system_clock;
  return std::chrono::duration_cast<std::chrono::milliseconds>(system_clock::now().time_since_epoch()).count();
}

ImageRecorder::ImageRecorder(std::unique_ptr<ledger::ProcessLedger> ledger, const protocol::ProcessHeader& header,
                             watch::ProcDirectory process, ProcessFacts facts, RecorderOptions options, RunInfo* run)
    : ledger_(std::move(ledger)),
      header_(header),
      process_(std::move(process)),
      facts_(std::move(facts)),
      options_(std::move(options)),
      run_(run),
      directory_(options_.output, IdentityOf(header, facts_)),
      schedule_(NowMs(), options_.interval_ms, options_.rss_thresholds),
      vitals_watch_(process_) {
  if (!options_.may_continue) return;
  auto earlier = directory_.ContinueEarlier();
  if (!earlier) return;
  gaps_ = earlier->gaps;
  gaps_.push_back({earlier->last_ms, NowMs()});
  if (facts_.previous.empty()) facts_.previous = earlier->process.previous;
  // The first recording found again carries its run on, so that a collector's restart does not split a run.
  if (facts_.run_first && !earlier->process.run_id.empty())
    *run_ = {earlier->process.run_id, earlier->process.run_started_ms};
  if (earlier->process.run_id == run_->id) facts_.run_first = earlier->process.run_first;
}

protocol::ProcessHeader ImageRecorder::RefreshHeader() {
  if (auto header = ledger_->ReadHeader()) header_ = *header;
  return header_;
}

void ImageRecorder::ReadVitals(int64_t now_ms, watch::SmapsWish wish) {
  snapshot::VitalsPoint point = vitals_watch_.Read(process_, now_ms, wish);
  if (point.rss_bytes == 0) return;  // gone, or not readable from here
  if (point.leakhunt_bytes > 0) {
    point.leakhunt_bytes += header_.private_bytes;
    leakhunt_bytes_ = point.leakhunt_bytes;
  }
  point.open_handles -= std::min(point.open_handles, own_descriptors_);
  point.allocated_bytes = header_.allocated_bytes;
  if (wish == watch::SmapsWish::kNow || now_ms >= next_limits_ms_) {
    limits_ = vitals_watch_.ReadLimits(process_);
    next_limits_ms_ = now_ms + watch::kLimitPauseMs;
  }
  most_handles_ = std::max({most_handles_, limits_.open_handles, point.open_handles});
  latest_ = point;
  // A snapshot follows the tick that asked for it, often within the same millisecond: its point is the one that is whole.
  if (!vitals_.empty() && now_ms - vitals_.back().time_ms < kSamePointMs) vitals_.pop_back();
  vitals_.push_back(point);
  if (vitals_.size() > kMaxVitals) ThinOlderHalf(&vitals_);
  next_vitals_ms_ = now_ms + kVitalsPauseMs;
  if (wish == watch::SmapsWish::kWhenDue) vitals_watch_.ForgetMemory();
}

ScheduleReading ImageRecorder::Readings() const {
  const watch::CgroupReading& cgroup = vitals_watch_.Cgroup();
  ScheduleReading reading;
  reading.rss_bytes = latest_.rss_bytes - std::min(latest_.rss_bytes, leakhunt_bytes_);
  reading.cgroup_bytes = cgroup.usage_bytes;
  reading.cgroup_working_bytes = cgroup.working_bytes;
  reading.cgroup_limit_bytes = cgroup.limit_bytes;
  reading.virtual_bytes = latest_.virtual_bytes;
  reading.address_space_limit_bytes = limits_.address_space_bytes;
  reading.open_handles = latest_.open_handles;
  reading.handle_limit = limits_.open_handles;
  return reading;
}

void ImageRecorder::Begin(uint64_t own_socket_inode) {
  own_socket_inode_ = own_socket_inode;
  if (vitals_.empty()) ReadVitals(NowMs(), watch::SmapsWish::kWhenDue);
}

void ImageRecorder::LookAtGoals(int64_t now_ms) {
  ScheduleReading reading = Readings();
  auto goal = static_cast<uint64_t>(kLimitShare * static_cast<double>(reading.cgroup_limit_bytes));
  next_look_ms_ = std::min(to_cgroup_limit_.NextLookMs(reading.cgroup_bytes, goal, now_ms),
                           to_rss_threshold_.NextLookMs(reading.rss_bytes, schedule_.NextThreshold(), now_ms));
}

const char* ImageRecorder::Tick(int64_t now_ms) {
  RefreshHeader();
  if (now_ms >= next_vitals_ms_ || now_ms < next_vitals_ms_ - 2 * kVitalsPauseMs) {
    ReadVitals(now_ms, watch::SmapsWish::kWhenDue);
  } else {
    vitals_watch_.ReadCgroup();
    if (schedule_.NextThreshold() != 0) latest_.rss_bytes = watch::ResidentBytes(process_);
  }
  LookAtGoals(now_ms);
  return schedule_.Due(Readings(), now_ms);
}

bool ImageRecorder::Capture(int64_t now_ms, bool alive, snapshot::SnapshotWriter* writer,
                            snapshot::Snapshot* snapshot) {
  ledger::CaptureOptions options;
  std::optional<watch::KernelHandles> handles;
  if (alive && (header_.track & protocol::kTrackHandles) != 0)
    handles = watch::ReadKernelHandles(process_, own_socket_inode_);
  if (handles) own_descriptors_ = handles->own;
  options.kernel_handles = handles ? &handles->handles : nullptr;
  if (alive && (header_.track & protocol::kTrackThreads) != 0) threads_.Read(process_, now_ms);
  options.threads = threads_.Last();
  options.residency = alive ? vitals_watch_.Memory() : nullptr;
  if (latest_.rss_bytes > 0) options.most_unread_bytes = static_cast<double>(latest_.rss_bytes);
  options.process_alive = alive;
  options.most_handles = most_handles_ != 0 ? most_handles_ : kMostHandlesUnknown;
  options.now_ms = now_ms;
  options.process_cpu_seconds = latest_.cpu_seconds;
  Result<Unit> captured = ledger_->Capture(options, writer, snapshot);
  if (captured) return true;
  NoticeOnce("capture " + std::to_string(facts_.pid),
             "process " + std::to_string(facts_.pid) + ": " + captured.error().message);
  return false;
}

void ImageRecorder::Describe(snapshot::Snapshot* snapshot) const {
  snapshot::ProcessInfo& process = snapshot->process;
  process.host = HostName();
  process.pid = facts_.pid;
  process.uid = facts_.uid;
  process.image = facts_.image;
  process.started_ms = StartedMs(header_);
  process.previous = facts_.previous;
  process.run_id = run_->id;
  process.run_started_ms = run_->started_ms;
  process.run_first = facts_.run_first;
  snapshot->losses.gaps.insert(snapshot->losses.gaps.end(), gaps_.begin(), gaps_.end());
  snapshot->limits = limits_;
  snapshot->handle_totals.limit = limits_.open_handles;
}

// Takes the newest point's RSS apart. Without smaps of this very moment nothing is said.
void ImageRecorder::AddVitals(const snapshot::SnapshotWriter& writer, snapshot::Snapshot* snapshot, bool alive) {
  snapshot->vitals = vitals_;
  const watch::ResidentPages* memory = vitals_watch_.Memory();
  if (!alive || snapshot->vitals.empty() || memory == nullptr) return;
  watch::HeapFigures heap;
  heap.live_bytes = writer.LiveBytes(snapshot::SiteKind::kHeap);
  heap.total_bytes = writer.HeapTotalBytes();
  heap.total_count = writer.HeapTotalCount();
  heap.hidden = (header_.flags & protocol::kFlagOwnMalloc) != 0 || (header_.track & protocol::kTrackHeap) == 0;
  heap.inherited = (header_.flags & protocol::kFlagForkedChild) != 0;
  heap.own_private_bytes = header_.private_bytes;
  const watch::MemoryParts parts = watch::TakeApart(*memory, ledger_->Mappings(), heap);
  snapshot::VitalsPoint& point = snapshot->vitals.back();
  const auto whole = [](double bytes) { return static_cast<uint64_t>(std::llround(bytes)); };
  point.heap_live_bytes = whole(parts.heap_live_bytes);
  point.allocator_slack_bytes = whole(parts.slack_bytes);
  point.unseen_bytes = whole(parts.unseen_bytes);
  point.mmap_bytes = whole(parts.mapped_bytes);
  point.stack_bytes = whole(parts.stack_bytes);
  point.file_bytes = whole(parts.file_bytes);
  point.shared_bytes = whole(parts.shared_bytes);
  point.leakhunt_bytes = whole(parts.leakhunt_bytes);
}

Status ImageRecorder::Write(snapshot::SnapshotWriter* writer, snapshot::Snapshot* snapshot) {
  Status written = directory_.Write(writer, snapshot, options_.max_disk_bytes);
  if (!written) return written;
  ClearNotice(WriteTopic());
  vitals_.clear();
  if (options_.on_written && snapshot->process.end == snapshot::End::kRunning)
    options_.on_written(directory_.Directory(), snapshot->number);
  if (options_.on_stored) options_.on_stored(directory_.Directory(), directory_.LastBytes());
  Detail("wrote " + directory_.Name() + " snapshot " + std::to_string(snapshot->number) + " (" + snapshot->reason +
         ")");
  return Ok();
}

std::string ImageRecorder::WriteTopic() const { return "write " + options_.output.native(); }

void ImageRecorder::NoticeUnwritten(const Error& error) {
  WarnOnce(WriteTopic(), error.message + "; the program runs on, and the next snapshot tries again");
  if (options_.on_unwritten) options_.on_unwritten(error.message);
}

namespace {

// What a snapshot of very many stacks took goes back to the kernel: it would lie idle until the next one.
struct GiveBackAfter {
  ~GiveBackAfter() {
    constexpr size_t kWorthIt = size_t{4} << 20;
    if (mallinfo2().fordblks > kWorthIt) malloc_trim(0);
  }
};

struct ForgetMemoryAfter {
  watch::VitalsWatch& vitals_watch;
  ~ForgetMemoryAfter() { vitals_watch.ForgetMemory(); }
};

}  // namespace

void ImageRecorder::Take(const char* reason, const std::string& label) {
  const ForgetMemoryAfter forget{vitals_watch_};
  GiveBackAfter at_the_end;
  int64_t now_ms = NowMs();
  RefreshHeader();
  ReadVitals(now_ms, watch::SmapsWish::kNow);
  Result<std::filesystem::path> file = directory_.NextFile();
  if (!file) return NoticeUnwritten(file.error());
  snapshot::SnapshotWriter writer(*file);
  snapshot::Snapshot snapshot;
  snapshot.reason = reason;
  snapshot.label = label;
  if (!Capture(now_ms, true, &writer, &snapshot)) return;
  snapshot.time_ms = now_ms;
  Describe(&snapshot);
  AddVitals(writer, &snapshot, true);
  if (Status written = Write(&writer, &snapshot); !written) NoticeUnwritten(written.error());
}

void ImageRecorder::Finish(const Ending& ending) {
  const int64_t now_ms = NowMs();
  RefreshHeader();
  for (;;) {
    Status finished = TryFinish(ending, now_ms);
    if (finished && directory_.LastNumber() == 0) directory_.RemoveEmpty();
    if (finished) return;
    if (!MakeRoomForLast(finished.error())) return NoticeUnwritten(finished.error());
  }
}

Status ImageRecorder::TryFinish(const Ending& ending, int64_t now_ms) {
  Result<std::filesystem::path> file = directory_.NextFile();
  if (!file) return file.error();
  snapshot::SnapshotWriter writer(*file);
  snapshot::Snapshot snapshot;
  snapshot.reason = ending.reason;
  if (!Capture(now_ms, false, &writer, &snapshot)) return Ok();
  snapshot.time_ms = now_ms;
  Describe(&snapshot);
  snapshot.process.end = ending.end;
  snapshot.process.ended_ms = now_ms;
  snapshot.process.exit_status = ending.exit_status;
  snapshot.process.signal = ending.signal;
  snapshot.process.replaced_by_exec = ending.replaced_by_exec;
  AddVitals(writer, &snapshot, false);
  if (!IsWorthKeeping(writer, snapshot)) return Ok();
  return Write(&writer, &snapshot);
}

// What ended otherwise than it meant to is kept in any case, and so is what was seen running.
bool ImageRecorder::IsWorthKeeping(const snapshot::SnapshotWriter& writer, const snapshot::Snapshot& snapshot) const {
  const bool as_meant = snapshot.process.end == snapshot::End::kExit;
  if (!options_.keep_short || directory_.LastNumber() > 0 || facts_.run_first || !as_meant) return true;
  const double live_bytes = writer.LiveBytes(snapshot::SiteKind::kHeap) + writer.LiveBytes(snapshot::SiteKind::kMmap) +
                            writer.LiveBytes(snapshot::SiteKind::kThread);
  return options_.keep_short(live_bytes, snapshot.handle_totals.open + snapshot.handle_totals.untracked);
}

// The last snapshot says more than those before it: where the disk is full, they make room for it, and then recordings
// that ended.
bool ImageRecorder::MakeRoomForLast(const Error& error) {
  if (error.errno_value != ENOSPC && error.errno_value != EDQUOT) return false;
  NoticeOnce(WriteTopic(), error.message + "; older snapshots and ended recordings make room for the last one");
  return directory_.DropOld(2) || (options_.make_room && options_.make_room()) || directory_.DropOld(1);
}

}  // namespace leakhunt::record
