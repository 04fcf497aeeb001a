// The process as the guest sees it: switched on or off, which generation (fork), its pages, its settings.
#pragma once

#include <cstdint>

#include "preload/core/live_blocks.h"
#include "preload/core/options.h"
#include "preload/core/thread_state.h"
#include "preload/sys/atomic.h"
#include "preload/sys/clock.h"
#include "preload/sys/hot.h"
#include "preload/transport/pages.h"

namespace leakhunt::core {

enum class Mode : uint32_t {
  kUnstarted = 0,  // nothing has happened yet
  kStarting = 1,   // one thread is in StartProcess; others pass through
  kOff = 2,        // for good: asked for, or an impossible state
  kRecording = 3,
  kDetached = 4,   // was recording; may again
};

inline constexpr uint32_t kGenerationsKept = 64;

// One generation of the process: itself, its parent before the fork, its grandparent and so on.
struct RecordedGeneration {
  transport::Pages* pages = nullptr;  // what the stack references of its records refer to
  uint64_t started_ns = 0;            // CLOCK_MONOTONIC; tick 0 of its records
};

// What every visit looks at lies in the first cache line.
struct alignas(64) Process {
  Mode mode = Mode::kUnstarted;
  uint32_t generation = 1;  // raised in each forked child; never 0
  uint64_t usual_openings = 0;  // bit HandleType: an opening of it is recorded, and nothing else is to be done about it; 0: no closing is usual either
  uint32_t* alive = nullptr;  // in a page under MADV_WIPEONFORK: reads 0 in a forked child, even one made by raw clone
  transport::Pages* pages = nullptr;
  uint8_t* first_extent = nullptr;  // of the pages: where most things are
  uint64_t started_ns = 0;  // CLOCK_MONOTONIC; tick 0
  uint64_t interval_bytes = 1;  // T now; threads adopt it at their next slow visit
  uint32_t pid = 0;
  uint32_t children_share_memory = 0;  // ChildrenShareMemory

  Options options;
  LiveBlocks live;
  uint64_t seed = 0;
  RecordedGeneration generations[kGenerationsKept] = {};  // by generation % kGenerationsKept; for inherited blocks
  uint32_t added_flags = 0;  // AddProcessFlags
};

LEAKHUNT_HIDDEN extern constinit Process g_process;

// Generations count from 1.
inline bool IsForkedChild() { return g_process.generation > 1; }

// The generation that recorded an inherited block; null when it is more than kGenerationsKept forks away. `number` is the
// lower half of the generation, as records keep it.
inline const RecordedGeneration* GenerationOf(uint16_t number) {
  const uint16_t forks_since = static_cast<uint16_t>(g_process.generation - number);
  return forks_since < kGenerationsKept ? &g_process.generations[number % kGenerationsKept] : nullptr;
}

// False in a forked child that has not come through Enter yet.
inline bool ProcessIsAlive() { return sys::LoadRelaxed(g_process.alive) == 1; }

// True when this thread may record now: recording is on, it is not already inside leakhunt, and the pages are this
// process's (a forked child gets its own here, on its first visit). On true the thread is busy until Leave().
[[gnu::noinline]] bool EnterSlow();
inline bool Enter() {
  ThreadLocal& local = t_local;
  if (__builtin_expect(local.busy == 0 && sys::LoadAcquire(&g_process.mode) == Mode::kRecording, 1)) {  // partner: StartProcess
    MarkBusy(&local);  // a signal handler of this thread sees busy before anything below
    if (__builtin_expect(ProcessIsAlive(), 1)) return true;
    local.busy = 0;
  }
  return EnterSlow();
}
inline void Leave() {
  asm volatile("" ::: "memory");
  t_local.busy = 0;
}

// The calling thread's state, made or taken over on first use. Null at the memory bound. Caller is busy.
inline ThreadState* EnsureThreadState() {
  ThreadLocal& local = t_local;
  if (__builtin_expect(local.state != nullptr && local.generation == g_process.generation, 1)) return local.state;
  return MakeThreadState();
}

// Starts recording; idempotent, first caller wins. Called by the constructor and by the first slow visit.
void StartProcess();

// A forked child that lives: publishes what it inherited and connects. Does nothing elsewhere. Caller is busy.
void ConnectChild();

// For a library that came into a running program: starts recording with `settings` (as an environment; no collector is
// sought, it takes the pages itself), or resumes after DetachProcess. False when the kernel refuses memory, or when it
// was switched off. Before calls are led to the hooks.
bool AttachProcess(const char* const* settings);
// After calls are not led to the hooks any more. The pages stay as they are, for the collector's last look.
void DetachProcess();

// Adds protocol::ProcessFlags to the header, now or when there is one.
void AddProcessFlags(uint32_t flags);

// Connects to a collector or starts one, as the options say. Called by the constructor.
void ConnectProcess();

// The image ends by exit: notes the status and tells the collector. Recording goes on until the process is gone.
void ProcessExits(int status);

// The image is about to be replaced by exec; `failed` takes it back.
void ProcessExecs();
void ProcessExecFailed();

// The program is about to install a seccomp filter. True when it is the first: should that fail, SeccompFailed takes it
// back; after a later one that fails, the first is still there. A forked child becomes a process of its own
// before it. Recording goes on in the pages that are mapped; growth, reconnecting and everything else that needs the
// kernel stops.
bool SeccompBegins();
void SeccompFailed();

// The program is about to take another root, in which the collector's socket has no name: a forked child that has not connected
// yet does so now.
void RootChanges();

// After a successful dlclose: objects may be gone from memory.
void ObjectsUnloaded();

// Switches off for good after an impossible state, with one line; records stay as they are. The states: the header of the
// shared pages holds another's words (CheckPages), or an entry of the live table names a slot outside the pages. Both mean
// that the program has written over memory of leakhunt's. Any thread, also in a handler.
LEAKHUNT_ASIDE void SwitchOff(const char* why);

// Switches off when the header was overwritten. Once per housekeeping.
void CheckPages();

// Ticks since start, at least 1: the coarse clock may still stand before it.
inline uint32_t NowTick() {
  const uint64_t now = sys::MonotonicCoarseNs();
  return 1 + (now > g_process.started_ns ? static_cast<uint32_t>((now - g_process.started_ns) / protocol::kTickNs) : 0);
}

protocol::ProcessHeader* Header();
void CountLoss(uint64_t bytes);

}  // namespace leakhunt::core
