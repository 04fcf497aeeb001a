#include "preload/core/thread_state.h"

#include "preload/core/process.h"
#include "preload/core/ref_table.h"
#include "preload/core/thinning.h"
#include "preload/sys/atomic.h"
#include "preload/sys/clock.h"
#include "preload/sys/memory.h"
#include "preload/sys/own_stack.h"
#include "preload/sys/syscall.h"
#include "preload/unwind/path_cache.h"

namespace leakhunt::core {

thread_local constinit ThreadLocal t_local = {};

namespace {

using protocol::AreaKind;
using protocol::RecordSlot;
using protocol::SlotState;

constinit ThreadState* g_states = nullptr;
constinit ThreadState* g_examined = nullptr;  // where the search for dead threads goes on
constinit RefTable* g_shared_tallies = nullptr;

struct SharedTallies {
  sys::SpinLock lock;
  protocol::StackTally* page = nullptr;
  uint64_t file_offset = 0;
  uint32_t used = 0;
};
constinit SharedTallies g_shared;

struct ThreadRecords {
  sys::SpinLock lock;
  protocol::ThreadRecord* page = nullptr;
  uint32_t used = 0;
};
constinit ThreadRecords g_records;

bool ThreadIsDead(uint32_t tid) {
  return sys::Call(SYS_tgkill, g_process.pid, tid, 0) == -3 /* ESRCH */;
}

void ReadThreadName(char* name) { sys::Call(SYS_prctl, 16 /* PR_GET_NAME */, sys::Word(name)); }

protocol::ThreadRecord* NewThreadRecord(uint32_t* index) {
  protocol::ThreadRecord* record = nullptr;
  if (!g_records.lock.Acquire(g_process.generation)) return nullptr;
  constexpr uint32_t kPerPage = 4096 / sizeof(protocol::ThreadRecord);
  if (g_records.page == nullptr || g_records.used == kPerPage) {
    transport::Area area = g_process.pages->Allocate(AreaKind::kThreads, 1, 0);
    g_records.page = reinterpret_cast<protocol::ThreadRecord*>(area.start);
    g_records.used = 0;
  }
  if (g_records.page != nullptr) {
    record = &g_records.page[g_records.used++];
    *index = ++Header()->thread_count;
  }
  g_records.lock.Release();
  return record;
}

void BeginThread(ThreadState* state, uint32_t tid) {
  uint32_t index = 0;
  state->record = NewThreadRecord(&index);
  state->index = index;
  if (state->record != nullptr) {
    state->record->index = index;
    state->record->start_tick = NowTick();
    ReadThreadName(state->record->name);
    sys::StoreRelease(&state->record->tid, tid);  // partner: the collector's thread table
  }
  for (auto& limits : state->limits) limits = {};
  state->scope_depth = 0;
  state->openings_left = state->opening_tick = 0;
  uint64_t seed = g_process.seed + index * 0x9E37'79B9'7F4A'7C15u;
  state->sampler.Seed(seed ^ (uint64_t{index} << 32));
  state->sampler.SetInterval(sys::LoadRelaxed(&g_process.interval_bytes), &t_local.countdown);
}

// A dead thread's state, or null. Looks at a few only: this runs at the first slow visit of every new thread.
ThreadState* TakeOver(uint32_t tid) {
  ThreadState* at = sys::LoadRelaxed(&g_examined);
  for (int i = 0; i < 8; ++i) {
    if (at == nullptr) at = sys::LoadAcquire(&g_states);
    if (at == nullptr) return nullptr;
    uint32_t owner = sys::LoadRelaxed(&at->tid);
    // The kernel gave this thread a dead one's tid, or the owner is gone.
    if ((owner == tid || ThreadIsDead(owner)) && sys::CompareExchange(&at->tid, owner, tid)) {
      if (at->record != nullptr && at->record->end_tick == 0) at->record->end_tick = NowTick();
      return at;
    }
    at = at->next;
  }
  sys::StoreRelaxed(&g_examined, at);
  return nullptr;
}

bool AddRun(ThreadState* state) {
  if (state->run_count == state->run_capacity) {
    uint32_t capacity = state->run_capacity == 0 ? 8 : state->run_capacity * 2;
    auto* runs = static_cast<Run*>(sys::Carve(capacity * sizeof(Run)));
    if (runs == nullptr) return false;
    sys::Copy(runs, state->runs, state->run_count * sizeof(Run));
    state->runs = runs;  // the old array stays carved: half of the new one
    state->run_capacity = capacity;
  }
  // 4 KiB first, then larger: a thread of a few blocks stays small.
  uint32_t pages = state->run_count == 0 ? 1 : state->run_count < 4 ? 4 : 16;
  transport::Area area = g_process.pages->Allocate(AreaKind::kRecords, pages, state->index);
  if (area.start == nullptr) area = g_process.pages->Allocate(AreaKind::kRecords, 1, state->index);
  if (area.start == nullptr) return false;
  state->runs[state->run_count] = Run{reinterpret_cast<RecordSlot*>(area.start), area.file_offset,
                                      area.bytes / static_cast<uint32_t>(sizeof(RecordSlot))};
  state->current_run = state->run_count++;
  state->next_slot = 0;
  return true;
}

// Turns to one of the thread's runs that is at least a quarter free; looks at a few, round-robin.
bool ReuseRun(ThreadState* state, uint32_t looks) {
  for (; looks > 0 && state->run_count > 0; --looks) {
    uint32_t candidate = state->examine_run++ % state->run_count;
    const Run& run = state->runs[candidate];
    uint32_t free = 0;
    for (uint32_t i = 0; i < run.count; ++i) free += IsFree(run.slots[i]) ? 1 : 0;
    if (free * 4 < run.count) continue;
    state->current_run = candidate;
    state->next_slot = 0;
    return true;
  }
  return false;
}

uint32_t StackOf(uint32_t tally_key) { return (tally_key - 1) >> 2; }
protocol::BlockKind KindOf(uint32_t tally_key) { return static_cast<protocol::BlockKind>((tally_key - 1) & 3); }

protocol::StackTally* FindShared(uint32_t tally_key) {
  uint64_t key = uint64_t{tally_key} << 32;
  uint32_t found = g_shared_tallies == nullptr ? 0 : g_shared_tallies->Find(key, [](uint32_t) { return true; });
  if (found != 0) return reinterpret_cast<protocol::StackTally*>(g_process.pages->At(uint64_t{found} * 128));
  if (!g_shared.lock.Acquire(g_process.generation)) return nullptr;
  protocol::StackTally* tally = nullptr;
  if (g_shared_tallies == nullptr) {
    auto* table = static_cast<RefTable*>(sys::Carve(sizeof(RefTable)));
    if (table != nullptr && table->Create(g_process.generation, 1024)) g_shared_tallies = table;
  }
  if (g_shared.page == nullptr || g_shared.used == kTalliesPerPage * 4) {
    transport::Area area = g_process.pages->Allocate(AreaKind::kSharedTally, 4, 0);
    g_shared.page = reinterpret_cast<protocol::StackTally*>(area.start);
    g_shared.file_offset = area.file_offset;
    g_shared.used = 0;
  }
  if (g_shared.page != nullptr && g_shared_tallies != nullptr) {
    tally = &g_shared.page[g_shared.used];
    tally->kind_birth = protocol::PackKindBirth(KindOf(tally_key), 0);
    sys::StoreRelease(&tally->stack, StackOf(tally_key));
    g_shared_tallies->Insert(key, static_cast<uint32_t>(g_shared.file_offset / 128 + g_shared.used));
    ++g_shared.used;
  }
  g_shared.lock.Release();
  return tally;
}

}  // namespace

ThreadState* MakeThreadState() {
  ThreadLocal& local = t_local;
  if (sys::Gated()) return nullptr;  // no way to ask who this is
  uint32_t tid = static_cast<uint32_t>(sys::GetTid());
  ThreadState* state = TakeOver(tid);
  if (state == nullptr) {
    state = static_cast<ThreadState*>(sys::MapPrivateWiped(sizeof(ThreadState)));
    if (state == nullptr) return nullptr;
    state->alive = 1;
    state->recent_tally = ~0u;
    state->tid = tid;
    state->tallies = state->first_tallies;
    state->tally_index_bits = kFirstTallyIndexBits;
    state->tally_capacity = kTallyPages * kTalliesPerPage;
    ThreadState* head;
    do head = state->next = sys::LoadRelaxed(&g_states);
    while (!sys::CompareExchange(&g_states, head, state));
  }
  local.state = state;
  local.generation = g_process.generation;
  BeginThread(state, tid);
  return state;
}

void ForgetHalfWritten(ThreadState* state) {
  if (state->paths != nullptr) state->paths->Forget();
  for (auto& place : state->opening_places) place = {};
  for (auto& recent : state->recent_tallies) recent = {};
  for (auto& limits : state->limits) limits = {};
  state->last_stack.frames = 0;
  state->freed_count = 0;  // the search for a slot finds them
  state->recent_tally = ~0u;
  state->visits -= state->openings_left;
  state->openings_left = 0;
  state->timing = false;
}

RecordSlot* TakeSlotSlow(ThreadState* state, uint64_t* file_offset) {
  while (state->freed_count > 0) {
    const FreedSlot& freed = state->freed[--state->freed_count];
    if (!IsFree(*freed.slot)) continue;  // the search below came past it meanwhile
    *file_offset = freed.file_offset;
    return freed.slot;
  }
  for (int attempt = 0; attempt < 4; ++attempt) {
    if (state->run_count > 0) {
      Run& run = state->runs[state->current_run];
      while (state->next_slot < run.count) {
        uint32_t i = state->next_slot++;
        if (!IsFree(run.slots[i])) continue;
        *file_offset = run.file_offset + i * sizeof(RecordSlot);
        return &run.slots[i];
      }
      if (ReuseRun(state, 4)) continue;
    }
    if (AddRun(state)) continue;
    // At the memory bound: lower the resolution, then use what that freed.
    if (!sys::OnOwnStack([=] { ThinRuns(state); })) return nullptr;
    if (!ReuseRun(state, state->run_count)) return nullptr;
  }
  return nullptr;
}

namespace {

// Remembers what was found; only the thread's own tallies, because the others have to be added to with locked instructions.
protocol::StackTally* Remember(ThreadState* state, uint32_t key, protocol::StackTally* tally) {
  state->recent_tallies[TallyHash(key, kRecentTallyBits)] = {key, tally};
  return tally;
}

// The first tallies go to whom comes first, the rest to stacks that come again and again: those of a program's start are
// many and never used again. A stack may have a shared tally and one of its own; the reader adds them up.
bool DeservesTally(ThreadState* state, uint32_t key) {
  if (state->tally_count < kTalliesForAnyone) return true;
  HotStack& candidate = state->hot[TallyHash(key, kHotStackBits)];
  if (candidate.key == key) return ++candidate.uses >= kUsesOfHotStack;
  if (candidate.uses > 0) --candidate.uses;
  else candidate = {key, 1};
  return false;
}

// The place of `key` in the thread's index, or the empty one where it belongs.
TallyPlace* Place(const ThreadState* state, uint32_t key) {
  uint32_t at = TallyHash(key, state->tally_index_bits);
  while (state->tallies[at].key != 0 && state->tallies[at].key != key) at = (at + 1) & ((1u << state->tally_index_bits) - 1);
  return &state->tallies[at];
}

constinit uint32_t g_more_tally_pages = 0;  // beyond the first kTallyPages of each thread

// Four times as many as before, if the process has so many left.
bool MoreTallies(ThreadState* state) {
  const uint32_t pages = state->tally_capacity / kTalliesPerPage;
  if (pages >= kMostTallyPages) return false;
  const uint32_t grown = pages * 4 < kMostTallyPages ? pages * 4 : kMostTallyPages;
  if (sys::AddRelaxed(&g_more_tally_pages, grown - pages) + grown - pages > kMoreTallyPages) {
    sys::AddRelaxed(&g_more_tally_pages, pages - grown);
    return false;
  }
  const uint32_t bits = state->tally_index_bits + 2;
  auto* index = static_cast<TallyPlace*>(sys::Carve((uint64_t{1} << bits) * sizeof(TallyPlace)));
  if (index == nullptr) {
    sys::AddRelaxed(&g_more_tally_pages, pages - grown);
    return false;
  }
  const TallyPlace* before = state->tallies;
  const uint32_t places = 1u << state->tally_index_bits;
  state->tallies = index;
  state->tally_index_bits = bits;
  for (uint32_t i = 0; i < places; ++i) {
    if (before[i].key != 0) *Place(state, before[i].key) = before[i];
  }
  state->tally_capacity = grown * kTalliesPerPage;
  return true;
}

}  // namespace

protocol::StackTally* FindTallySlow(ThreadState* state, uint32_t key, bool* shared) {
  TallyPlace* place = Place(state, key);
  if (place->key == key) {
    return Remember(state, key, &state->tally_pages[place->position / kTalliesPerPage][place->position % kTalliesPerPage]);
  }
  if (DeservesTally(state, key) && (state->tally_count < state->tally_capacity || MoreTallies(state))) {
    const uint32_t position = state->tally_count;
    protocol::StackTally** page = &state->tally_pages[position / kTalliesPerPage];
    if (*page == nullptr) {
      transport::Area area = g_process.pages->Allocate(AreaKind::kThreadTally, 1, state->index);
      *page = reinterpret_cast<protocol::StackTally*>(area.start);
    }
    if (*page != nullptr) {
      ++state->tally_count;
      protocol::StackTally* tally = &(*page)[position % kTalliesPerPage];
      tally->kind_birth = protocol::PackKindBirth(KindOf(key), 0);
      // Stack 0 is "unknown"; an entry is in use when samples or died_samples is not 0, too.
      sys::StoreRelease(&tally->stack, StackOf(key));  // partner: the collector's tally sweep
      *Place(state, key) = {key, position};
      return Remember(state, key, tally);
    }
  }
  *shared = true;
  return FindShared(key);
}

void ForgetThreadStates() {
  g_states = nullptr;
  g_examined = nullptr;
  g_shared_tallies = nullptr;
  g_more_tally_pages = 0;
  g_shared = SharedTallies();
  g_records = ThreadRecords();
}

}  // namespace leakhunt::core
