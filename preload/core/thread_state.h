// What the guest keeps for one thread of the program, and how a thread finds it.
//
// The TLS object is tiny, initial-exec and trivially destructible; everything larger hangs off it in private memory
// and is reused whole by a later thread once its owner is dead (found by its tid, not by a destructor: destructors run
// while the program still allocates).
#pragma once

#include <cstddef>
#include <cstdint>

#include "preload/core/sampler.h"
#include "preload/protocol/layout.h"
#include "preload/sys/atomic.h"
#include "preload/sys/hot.h"
#include "preload/transport/pages.h"
#include "preload/unwind/unwinder.h"
#include "preload/unwind/walk_memo.h"

namespace leakhunt::core {

struct Run {  // an area of record slots
  protocol::RecordSlot* slots;
  uint64_t file_offset;
  uint32_t count;
};

struct FreedSlot {
  protocol::RecordSlot* slot;
  uint64_t file_offset;
};

inline constexpr uint32_t kFreedSlots = 64;
inline constexpr uint32_t kTallyPages = 8;          // 32 KiB a thread
inline constexpr uint32_t kMostTallyPages = 64;     // of a thread that has more hot stacks, while the process has pages left
inline constexpr uint32_t kMoreTallyPages = 128;    // of all threads together
inline constexpr uint32_t kTalliesPerPage = 4096 / sizeof(protocol::StackTally);
inline constexpr uint32_t kFirstTallyIndexBits = 9;  // open addressing, twice the tallies
inline constexpr uint32_t kTalliesForAnyone = 128;
inline constexpr uint32_t kHotStackBits = 6;
inline constexpr uint32_t kUsesOfHotStack = 16;

struct HotStack {  // a stack without a tally of its own that may come to deserve one
  uint32_t key;
  uint32_t uses;
};
inline constexpr uint32_t kStackLimitsCached = 4;
inline constexpr uint32_t kRecentTallyBits = 5;
inline constexpr uint32_t kScopeDepth = 16;

// One of the thread's own tallies, and whose it is.
struct TallyPlace {
  uint32_t key;  // TallyKey; 0 empty
  uint32_t position;
};

// A place that opens descriptors: its last walk, and what is kept of the stack that it found.
struct alignas(512) OpeningPlace {
  uint32_t stack;      // 0: none yet
  uint32_t reference;  // of its HandleTally
  protocol::HandleTally* tally;
  unwind::WalkMemo walk;  // kept only when there is a tally
  uint16_t waited;     // openings from the same stack, which the memo did not know, since the walk was kept
  uint16_t patience;   // so many of them are let pass before the next is kept
};
static_assert(sizeof(OpeningPlace) == 512);  // a shift away
inline constexpr uint32_t kOpeningPlaces = 4;

inline constexpr uint32_t kMostDeltas = 8;   // records of one stack

// The stack a thread interned last, and the records of its outer frames: most of the next one are the same.
struct LastStack {
  uint32_t frames, epoch;
  uint32_t deltas[kMostDeltas];  // from the outermost
  uint64_t pcs[protocol::kMaxFrames];
};

// In pages of its own that a forked child finds empty.
struct ThreadState {
  uint64_t visits = 0;
  uint64_t housekeeping_due = 0;  // at the visit of this number; openings that were granted may pass it by
  uint32_t index = 0;
  uint32_t alive = 0;  // 1: made in this process
  protocol::HandleSlot* handle_slot = nullptr;  // a dead one to use next
  protocol::HandleSlot* spare_slot = nullptr;   // another: a server keeps a connection open while it opens and closes files
  uint32_t recent_tally = 0;    // reference of the last opening's, if its walk was known; ~0: none yet
  uint32_t openings_left = 0;   // of those that GrantOpenings granted; they are counted in `visits`
  uint32_t opening_tick = 0;    // when they were granted
  uint32_t granted_openings = 0;
  unwind::PathCache* paths = nullptr;  // made at the first walk under a small interval, or when there have been many visits
  uint64_t innermost_pc = 0;
  unwind::StackLimits limits[kStackLimitsCached] = {};
  OpeningPlace opening_places[kOpeningPlaces] = {};  // by the calling code's address and stack pointer

  ThreadState* next = nullptr;  // list of all, prepend-only
  uint32_t tid = 0;             // 0: free to take (claimed by CAS)
  Sampler sampler;
  protocol::ThreadRecord* record = nullptr;

  Run* runs = nullptr;
  uint32_t run_count = 0, run_capacity = 0;
  uint32_t current_run = 0, next_slot = 0, examine_run = 0;
  uint32_t next_generation = 0;
  FreedSlot freed[kFreedSlots] = {};  // the thread's own dead slots, the last one freed to be used first: it is cached
  uint32_t freed_count = 0;

  protocol::StackTally* tally_pages[kMostTallyPages] = {};
  uint32_t tally_count = 0, tally_capacity = 0;
  HotStack hot[1u << kHotStackBits] = {};
  struct RecentTally {
    uint32_t key;
    protocol::StackTally* tally;
  } recent_tallies[1u << kRecentTallyBits] = {};  // what FindTally found last, by key
  TallyPlace first_tallies[1u << kFirstTallyIndexBits] = {};
  TallyPlace* tallies = nullptr;              // the index in use: first_tallies, or a larger one
  uint32_t tally_index_bits = 0;

  uint32_t next_limits = 0;
  uint64_t timing_due = 0;           // number of the visit that is timed next, if none is in its way
  uint64_t visits_counted = 0;       // of `visits`, in the header
  uint32_t housekept_tick = 0;       // when housekeeping was done last
  bool timing = false;               // the visit of the next housekeeping is timed
  bool granted = false;              // openings were, since the last housekeeping
  uint64_t heap_visits_pending = 0;  // of heap blocks: those the interval governs; not yet added to the governor's
  uint64_t heap_visits_before = 0;   // when the visit that is timed began
  uint64_t passed_pending_256 = 0;   // blocks that were not sampled, by the weights of those that were, times 256; as above
  uint64_t activity_pending = 0;  // weight not yet added to the process's activity clock
  uint32_t scope_depth = 0;
  uint16_t outer_scopes[kScopeDepth] = {};

  LastStack last_stack = {};
  unwind::Registers caller = {};  // of the walk that begins: here, it takes nothing of the program's stack
  uint64_t pcs[protocol::kMaxFrames] = {};
};

// In ThreadLocal::vforking: the thread has a descriptor table of its own, for good.
inline constexpr uint32_t kOwnDescriptors = 2;

struct alignas(64) ThreadLocal {
  uint64_t countdown;    // bytes to the next slow visit; 0: every allocation
  ThreadState* state;    // null until the first slow visit
  uint32_t busy;         // not 0 inside leakhunt: a signal handler that finds it set records nothing. MarkBusy
  uint32_t vforking;     // VforkBegins: look at the pid until it is the thread's own again; kOwnDescriptors
  uint32_t generation;   // process generation `state` belongs to
  uint32_t paused;       // leakhunt_pause depth
  uint16_t scope;        // current leakhunt_scope; 0 none

  [[gnu::always_inline]] bool BusyOrVforking() const {  // both at once
    uint64_t both;
    __builtin_memcpy(&both, &busy, sizeof(both));
    return both != 0;
  }
};
static_assert(offsetof(ThreadLocal, vforking) == offsetof(ThreadLocal, busy) + sizeof(uint32_t));

extern thread_local constinit ThreadLocal t_local __attribute__((tls_model("initial-exec")));

// From here until `busy` is 0 the thread is inside leakhunt. `busy` becomes the lower half of the stack pointer: where the frame
// lies that set it, so that a jump out of that frame can be told (jumps.h). Whoever counts `busy` up instead says nothing of
// a frame. (A lower half of 0, a frame at a multiple of 4 GiB, would leave the thread not busy; no stack reaches across one.)
[[gnu::always_inline]] inline void MarkBusy(ThreadLocal* local) {
#if defined(__x86_64__)
  asm volatile("movl %%esp, %0" : "=m"(local->busy)::"memory");
#else
  local->busy = static_cast<uint32_t>(reinterpret_cast<uint64_t>(__builtin_frame_address(0)));
  asm volatile("" ::: "memory");
#endif
}

// EnsureThreadState's first time (process.h).
ThreadState* MakeThreadState();

// A jump left the thread's visit in the middle: forgets what may be half written and is found again otherwise.
void ForgetHalfWritten(ThreadState* state);

inline bool IsFree(const protocol::RecordSlot& slot) {
  const protocol::SlotState state = protocol::StateOf(sys::LoadAcquire(&slot.state));  // partner: MarkDead in tracker.cc
  return state == protocol::SlotState::kVoid || state == protocol::SlotState::kDead || state == protocol::SlotState::kThinned;
}

// A slot of the thread's own to fill, its file offset in `*file_offset`; null at the bound.
protocol::RecordSlot* TakeSlotSlow(ThreadState* state, uint64_t* file_offset);
[[gnu::always_inline]] inline protocol::RecordSlot* TakeSlot(ThreadState* state, uint64_t* file_offset) {
  if (__builtin_expect(state->freed_count > 0, 1)) {
    const FreedSlot freed = state->freed[--state->freed_count];
    *file_offset = freed.file_offset;
    if (__builtin_expect(IsFree(*freed.slot), 1)) return freed.slot;  // else the search for a slot came past it meanwhile
  }
  return TakeSlotSlow(state, file_offset);
}

// A slot this thread has just marked dead: to be taken again next, while it is cached. Only one of the run in use: that
// run is surely the thread's own (the owner named in a slot is who resized it last).
inline void GiveBackSlot(ThreadState* state, protocol::RecordSlot* slot, uint64_t file_offset) {
  if (state->freed_count == kFreedSlots || state->run_count == 0) return;
  const Run& run = state->runs[state->current_run];
  if (slot < run.slots || slot >= run.slots + run.count) return;
  state->freed[state->freed_count++] = {slot, file_offset};
}

// The thread's tally of (stack, kind), or the shared one; null when both are full. `*shared`: use atomic adds.
protocol::StackTally* FindTallySlow(ThreadState* state, uint32_t key, bool* shared);
inline uint32_t TallyKey(uint32_t stack, protocol::BlockKind kind) { return (stack << 2 | static_cast<uint32_t>(kind)) + 1; }
inline uint32_t TallyHash(uint32_t key, uint32_t bits) { return (key * 0x9E37'79B1u) >> (32 - bits); }
[[gnu::always_inline]] inline protocol::StackTally* FindTally(ThreadState* state, uint32_t stack, protocol::BlockKind kind,
                                                              bool* shared) {
  *shared = false;
  const uint32_t key = TallyKey(stack, kind);
  const auto& recent = state->recent_tallies[TallyHash(key, kRecentTallyBits)];
  if (__builtin_expect(recent.key == key, 1)) return recent.tally;
  return FindTallySlow(state, key, shared);
}

// In a forked child: all states are the parent's.
void ForgetThreadStates();

}  // namespace leakhunt::core
