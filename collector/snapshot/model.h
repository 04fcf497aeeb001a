// The snapshot in memory: what one process held at one moment, per call site.
//
// Written by the collector's ledger, stored by writer.h, loaded by reader.h, and the only thing the verdicts, the
// symbolizer's callers and the viewer know. No symbols here: a frame is (module, offset); FORMAT.md has the file.
// Units: bytes, milliseconds since the Unix epoch (`*_ms`), counts. Plain values, owned; not thread-safe to mutate.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace leakhunt::snapshot {

// The earlier of two moments, 0 = not known.
inline int64_t Earlier(int64_t a_ms, int64_t b_ms) { return a_ms == 0 ? b_ms : b_ms == 0 ? a_ms : std::min(a_ms, b_ms); }

// A sum of Horvitz–Thompson weights with what its confidence limits need (see estimate.h). Sums of independent
// Weighted add field by field, except largest_weight (max). Exact figures have variance 0.
struct Weighted {
  uint64_t samples = 0;       // sampled blocks behind the sum
  double value = 0;           // sum of s/p (bytes) or 1/p (blocks)
  double variance = 0;        // sum of (1-p)·(s/p)² or (1-p)/p²
  double largest_weight = 0;  // largest single s/p (or 1/p) with p < 1; 0 when exact
  double moved_down = 0;      // could be lower by this: births while a live program was being read
  double moved_up = 0;        // could be higher by this: deaths while it was being read

  Weighted& operator+=(const Weighted& other);
};

enum class SiteKind : uint8_t { kHeap = 0, kMmap = 1, kThread = 2 };

// Live blocks of a site born in [from_ms, to_ms). Cohorts of a site are in time order and do not overlap.
struct Cohort {
  int64_t from_ms = 0;
  int64_t to_ms = 0;
  uint64_t samples = 0;
  double live_bytes = 0;
  double live_count = 0;
};

inline constexpr int kLifetimeBuckets = 16;  // bucket b: lifetime in [2^(b-1), 2^b) x 10 ms; 0: below 10 ms; 15: the rest

struct ThreadShare {
  uint32_t thread = 0;  // index into Snapshot.threads
  double live_bytes = 0;
  double live_count = 0;
};

struct Site {
  SiteKind kind = SiteKind::kHeap;
  uint32_t stack = 0;  // index into Snapshot.stacks
  uint32_t scope = 0;  // index into Snapshot.scopes; 0 = none
  // Of mappings and thread stacks the bytes are those in memory or swap (Snapshot.mapping_bytes says how well that is known).
  Weighted live_bytes, live_count;
  double reserved_bytes = 0;  // address space of live mappings and threads' stacks; 0 with kHeap
  Weighted total_bytes, total_count;  // since the start of the image; monotone over snapshots. Scope 0 row of a stack carries them
  double freed_bytes = 0;             // weights of recorded blocks seen dying
  uint64_t freed_samples = 0;
  int64_t first_seen_ms = 0;    // earliest birth known for the site
  int64_t last_seen_ms = 0;     // latest birth known; of blocks that are gone, at most 2.56 s too late
  int64_t oldest_birth_ms = 0;  // of a live block; 0 = none live
  bool inherited = false;       // blocks of a forked child that its parent allocated
  std::vector<Cohort> cohorts;
  std::array<uint64_t, kLifetimeBuckets> lifetimes{};  // recorded deaths by lifetime, since start
  std::vector<ThreadShare> threads;                    // largest first, at most 8
};

struct HandleExample {
  int fd = -1;
  std::string label;
  int64_t birth_ms = 0;
  uint32_t thread = 0;
};

// Values as the contract's `type` list; names by HandleTypeName.
enum class HandleType : uint8_t {
  kOther, kFile, kDirectory, kTcp, kUdp, kUnix, kNetlink, kSocket, kPipe, kEpoll, kEventfd, kTimerfd, kSignalfd,
  kInotify, kFanotify, kMemfd, kPidfd, kUserfaultfd, kIoUring, kPerf, kPty, kDevice,
};
inline constexpr int kHandleTypes = 22;
const char* HandleTypeName(HandleType type);
const char* SiteKindName(SiteKind kind);

struct HandleSite {
  HandleType type = HandleType::kOther;
  uint32_t stack = 0;
  uint64_t open = 0;    // live now, of this type
  uint64_t opened = 0;  // since start, all types of this stack; on the stack's first row only
  uint64_t closed = 0;
  uint64_t peak = 0;
  int64_t oldest_birth_ms = 0;  // 0 = none open
  int64_t first_seen_ms = 0;
  int64_t last_seen_ms = 0;
  std::vector<int64_t> births_ms;       // of the open ones, sorted; at most 512, evenly thinned
  std::vector<HandleExample> examples;  // oldest first, at most 16
  std::vector<ThreadShare> threads;     // live_count only
};

struct UntrackedHandle {
  int fd = -1;
  HandleType type = HandleType::kOther;
  std::string label;
  bool inherited = false;   // open when the image started (0, 1, 2 among them)
  std::string reason;       // "raw syscall", "before attach", "inside libc", "io_uring", ""
};

struct HandleTotals {
  uint64_t open = 0;       // tracked, with a call site
  uint64_t untracked = 0;  // open without one, not inherited
  uint64_t inherited = 0;
  uint64_t limit = 0;      // RLIMIT_NOFILE soft; 0 unknown
  uint64_t vanished = 0;   // retired because the kernel no longer had them
};

struct Module {
  std::string path;
  std::string build_id;  // lower-case hex; empty = none
  uint64_t start = 0, end = 0, bias = 0;

  bool operator==(const Module&) const = default;
};

inline constexpr uint32_t kNoModule = 0xFFFF'FFFF;

enum FrameFlags : uint8_t {
  kFrameExact = 1,  // `offset` is the instruction itself; otherwise a return address (look up offset - 1)
};

struct Frame {
  uint32_t module = kNoModule;  // index into Snapshot.modules
  uint64_t offset = 0;          // ELF virtual address in the module; the plain address when there is no module (JIT)
  uint8_t flags = 0;

  bool operator==(const Frame&) const = default;
};

struct Stack {
  std::vector<uint32_t> frames;  // indices into Snapshot.frames, innermost first
  bool truncated = false;
  uint64_t content_hash = 0;  // XXH3-64 over (build-id or path, offset) of each frame: the same site in other snapshots and processes
};

struct Thread {
  uint32_t tid = 0;
  std::string name;
  int64_t started_ms = 0;
  int64_t ended_ms = 0;  // 0 = alive
};

enum class End : uint8_t { kRunning, kExit, kSignal, kOom, kLost };
const char* EndName(End end);  // "running", "exit", …

struct ProcessInfo {
  int pid = 0;
  int parent_pid = 0;
  std::string name;
  std::string executable;
  std::vector<std::string> command;
  int64_t started_ms = 0;
  int64_t ended_ms = 0;  // 0 = running
  End end = End::kRunning;
  std::optional<int> exit_status;
  int signal = 0;             // with kSignal / kOom
  uint32_t image = 0;         // exec number
  bool replaced_by_exec = false;  // end == kExit because the process exec'ed
  std::string previous;       // directory name of the image before the exec
  int forked_from_pid = 0;    // 0 = not a fork without exec
  uint32_t uid = 0;
  std::string host;
  uint32_t flags = 0;         // protocol::ProcessFlags as recorded
  std::string run_id;         // the same for all recordings of one collector's run
  int64_t run_started_ms = 0;
  bool run_first = false;     // the process the run was started for (`-- CMD`), or the first seen
};

struct SamplingChange {
  int64_t time_ms = 0;
  uint64_t mean_bytes = 1;
};

struct Sampling {
  bool exact = false;               // every allocation so far was recorded
  uint64_t mean_bytes = 1;          // now
  double budget_percent = 0;        // 0 = fixed
  double measured_overhead_percent = 0;
  std::vector<SamplingChange> history;
};

struct Gap {
  int64_t from_ms = 0, to_ms = 0;  // no collector watched
};

struct Losses {
  uint64_t records = 0;
  uint64_t bytes = 0;
  uint64_t truncated_stacks = 0;
  uint64_t unknown_stacks = 0;
  uint64_t stale_records = 0;
  uint64_t invalid_records = 0;  // refused by the collector's checks
  uint64_t slow_visits = 0;
  uint64_t fallback_walks = 0;
  std::vector<Gap> gaps;
};

// One tick of the collector's watch; fields 0 when unknown.
struct VitalsPoint {
  int64_t time_ms = 0;
  uint64_t rss_bytes = 0, pss_bytes = 0, peak_rss_bytes = 0;
  uint64_t heap_live_bytes = 0;        // leakhunt's estimate
  uint64_t allocator_slack_bytes = 0;  // allocator's resident memory less live
  uint64_t mmap_bytes = 0, stack_bytes = 0, file_bytes = 0, page_table_bytes = 0, swap_bytes = 0;
  uint64_t virtual_bytes = 0;
  uint64_t leakhunt_bytes = 0;         // our own pages in the process
  uint64_t open_handles = 0, threads = 0;
  uint64_t cgroup_tasks = 0, user_tasks = 0;  // threads in the group with the tightest pids.max, and of the user
  uint64_t cgroup_bytes = 0;
  uint64_t allocated_bytes = 0;        // activity clock
  // Together with heap_live, allocator_slack, mmap, stack, file and leakhunt_bytes these add up to rss_bytes, where they
  // are known (HasParts).
  uint64_t shared_bytes = 0;           // shared anonymous memory, SysV and POSIX segments, memfds
  uint64_t unseen_bytes = 0;           // anonymous memory of no mapping and no allocation that was seen
  double cpu_seconds = 0;              // user + system of the process
};

// RSS was taken apart at this point, with the ledger's figures of the same moment.
inline bool HasParts(const VitalsPoint& p) {
  return p.heap_live_bytes + p.allocator_slack_bytes + p.mmap_bytes + p.unseen_bytes > 0;
}

struct Limits {
  uint64_t cgroup_bytes = 0;    // tightest above the process; 0 = none
  uint64_t cgroup_oom_kills = 0;
  uint64_t address_space_bytes = 0;  // RLIMIT_AS
  uint64_t open_handles = 0;         // RLIMIT_NOFILE
  uint64_t cgroup_tasks = 0;         // tightest pids.max
  uint64_t user_tasks = 0;           // RLIMIT_NPROC, where it binds
  uint64_t machine_bytes = 0;        // MemTotal
  uint64_t machine_available_bytes = 0;
};

struct ActivityPoint {
  int64_t time_ms = 0;
  uint64_t allocated_bytes = 0;
};

// What Site.live_bytes of mappings and threads is.
enum class MappingBytes : uint8_t {
  kReserved = 0,   // their size: a snapshot of a collector that knew no better
  kInMemory = 1,   // read from the kernel
  kEstimated = 2,  // of some that was not possible: at most RSS in all, between nothing and their size
};

struct Snapshot {
  uint32_t number = 0;
  int64_t time_ms = 0;
  std::string reason;  // interval request exit death rss limit alarm stop exec start
  std::string label;   // of leakhunt_snapshot
  ProcessInfo process;
  Sampling sampling;
  Losses losses;
  std::vector<Module> modules;
  std::vector<Frame> frames;
  std::vector<Stack> stacks;  // [0] is the unknown stack (no frames)
  std::vector<Thread> threads;
  std::vector<std::string> scopes;  // [0] = ""
  std::vector<Site> sites;
  HandleTotals handle_totals;
  std::array<uint64_t, kHandleTypes> handles_by_type{};  // open + untracked + inherited
  std::vector<HandleSite> handle_sites;
  std::vector<UntrackedHandle> untracked;  // inherited ones included, marked
  std::vector<VitalsPoint> vitals;  // since the snapshot before
  Limits limits;
  std::vector<ActivityPoint> activity;
  MappingBytes mapping_bytes = MappingBytes::kReserved;
};

}  // namespace leakhunt::snapshot
