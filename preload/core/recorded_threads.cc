#include "preload/core/recorded_threads.h"

#include "preload/core/process.h"
#include "preload/core/stacks.h"
#include "preload/core/thread_ids.h"
#include "preload/core/thread_state.h"
#include "preload/core/tracker.h"
#include "preload/sys/atomic.h"
#include "preload/sys/memory.h"

namespace leakhunt::core {
namespace {

using protocol::BlockKind;
using protocol::RecordSlot;
using protocol::SlotState;

struct Recorded {
  uint64_t thread;  // pthread_t
  uint64_t id;      // 0: an early end or detachment, of a thread whose creator is not back
  uint64_t stack_bytes;
  uint32_t tid;     // of a detached thread; 0: joinable, or with id 0 one that was joined
  uint32_t slot;    // file offset / 32; 0 none
  uint32_t stack;
  uint32_t birth_tick;
  uint32_t generation;
};

struct Table {
  sys::SpinLock lock;
  Recorded* items = nullptr;
  uint32_t count = 0, capacity = 0;
  uint32_t next_looked_at = 0;  // whether it has ended
  uint64_t next_id = 0;
  uint32_t creating = 0;
};
constinit Table g_threads;

bool Tracked() { return (g_process.options.track & protocol::kTrackThreads) != 0; }

// Linear: live threads are few hundreds, and every call is a system call away from the next.
Recorded* Find(uint64_t thread) {
  for (uint32_t i = 0; i < g_threads.count; ++i) {
    if (g_threads.items[i].thread == thread) return &g_threads.items[i];
  }
  return nullptr;
}

Recorded* Append() {
  Table& t = g_threads;
  if (t.count == t.capacity) {
    uint32_t capacity = t.capacity == 0 ? 64 : t.capacity * 2;
    auto* items = static_cast<Recorded*>(sys::MapPrivate(capacity * sizeof(Recorded)));
    if (items == nullptr) return nullptr;
    if (t.items != nullptr) {
      sys::Copy(items, t.items, t.count * sizeof(Recorded));
      sys::Discard(t.items, t.capacity * sizeof(Recorded));
    }
    t.items = items;
    t.capacity = capacity;
  }
  return &t.items[t.count++];
}

void Remove(Recorded* item) { *item = g_threads.items[--g_threads.count]; }

uint64_t TalliedSize(const Recorded& item) { return protocol::PackSize(item.stack_bytes, protocol::EncodeInterval(1)); }

RecordSlot* SlotOf(const Recorded& item) {
  if (item.slot == 0 || item.generation != g_process.generation) return nullptr;
  return reinterpret_cast<RecordSlot*>(g_process.pages->At(uint64_t{item.slot} * sizeof(RecordSlot)));
}

void Retire(ThreadState* state, const Recorded& item) {
  RecordSlot* slot = SlotOf(item);
  if (slot == nullptr) return;
  uint64_t generation = protocol::GenerationOf(sys::LoadRelaxed(&slot->state));
  sys::StoreRelease(&slot->state, protocol::PackState(generation, SlotState::kDead));  // partner: the collector's sweep
  TallyDied(state, item.stack, BlockKind::kThread, TalliedSize(item), item.birth_tick);
}

void End(ThreadState* state, Recorded* item) {
  Retire(state, *item);
  Remove(item);
}

// A record for a thread that runs; `tid` is 0 for a joinable one. Whatever stood under its pthread_t ended out of sight.
void Publish(ThreadState* state, uint64_t thread, uint64_t stack_bytes, uint32_t tid) {
  Recorded* item = Find(thread);
  if (item != nullptr) Retire(state, *item);
  else item = Append();
  uint64_t file_offset = 0;
  RecordSlot* slot = item == nullptr ? nullptr : TakeSlot(state, &file_offset);
  if (slot == nullptr) {
    if (item != nullptr) Remove(item);
    return CountLoss(stack_bytes);
  }
  *item = Recorded{thread, ++g_threads.next_id, stack_bytes, tid, static_cast<uint32_t>(file_offset / sizeof(RecordSlot)),
                   CaptureStack(state), NowTick(), g_process.generation};
  const uint64_t size = tid == 0 ? TalliedSize(*item) : protocol::PackDetached(stack_bytes, tid);
  FillSlot(state, slot, thread, size, item->stack, item->birth_tick, BlockKind::kThread);
  TallyBorn(state, item->stack, BlockKind::kThread, TalliedSize(*item), item->birth_tick);
}

// One word says that the thread is detached, so a reader finds the record as it was or as it is.
void BecomeDetached(ThreadState* state, Recorded* item, uint32_t tid) {
  RecordSlot* slot = SlotOf(*item);
  if (tid == 0 || slot == nullptr) return End(state, item);
  item->tid = tid;
  sys::StoreRelaxed(&slot->size_interval, protocol::PackDetached(item->stack_bytes, tid));
}

// The creator is back. Its thread may have been joined by now, or be detached.
void Created(ThreadState* state, uint64_t thread, uint64_t stack_bytes, bool detached) {
  Recorded* known = Find(thread);
  const bool early = known != nullptr && known->id == 0;
  const uint32_t tid = early ? known->tid : detached ? TidOf(thread) : 0;
  const bool gone = (early || detached) && (tid == 0 || ThreadHasEnded(tid));
  if (!gone) return Publish(state, thread, stack_bytes, tid);
  if (known != nullptr) End(state, known);
}

// Whether it has ended is asked of the thread whose turn it is. Its place is taken by another when it ends.
void LookAtNext(ThreadState* state) {
  if (g_threads.next_looked_at >= g_threads.count) g_threads.next_looked_at = 0;
  Recorded* item = &g_threads.items[g_threads.next_looked_at];
  if (item->id != 0 && item->tid != 0 && ThreadHasEnded(item->tid)) End(state, item);
  else ++g_threads.next_looked_at;
}

// Looks at two detached threads a creation: a program that makes one after the other keeps few records of those that have ended.
void EndSomeThatEnded(ThreadState* state) {
  for (uint32_t left = g_threads.count < 2 ? g_threads.count : 2; left > 0; --left) LookAtNext(state);
}

void ForgetEarlyEnds() {
  for (uint32_t i = 0; i < g_threads.count;) {
    if (g_threads.items[i].id == 0) Remove(&g_threads.items[i]);
    else ++i;
  }
}

// The creator of `thread` is not back: what it makes of it must say what was done since. `tid` 0: joined, or ended. A detached
// thread that stands under the number has ended.
void NoteEarly(ThreadState* state, uint64_t thread, uint32_t tid) {
  Recorded* item = Find(thread);
  if (item != nullptr && item->id != 0) {
    End(state, item);
    item = nullptr;
  }
  if (item == nullptr && g_threads.creating != 0) item = Append();
  if (item != nullptr) *item = Recorded{thread, 0, 0, tid, 0, 0, 0, 0};
}

// Work under the lock on a visit. False when there could be none.
template <typename Work>
bool Visit(Work work) {
  if (!Enter()) return false;
  ThreadState* state = Tracked() ? EnsureThreadState() : nullptr;
  bool locked = state != nullptr && g_threads.lock.AcquirePatiently(g_process.generation);
  if (locked) {
    work(state);
    g_threads.lock.Release();
  }
  Leave();
  return locked;
}

}  // namespace

bool ThreadCreationBegins() {
  return Visit([](ThreadState*) { ++g_threads.creating; });
}

void ThreadCreationEnds(uint64_t thread, uint64_t stack_bytes, bool detached) {
  Visit([&](ThreadState* state) {
    if (thread != 0) Created(state, thread, stack_bytes, detached);
    EndSomeThatEnded(state);
    if (--g_threads.creating == 0) ForgetEarlyEnds();
  });
}

uint64_t ThreadRecordOf(uint64_t thread) {
  uint64_t id = 0;
  Visit([&](ThreadState*) {
    Recorded* item = Find(thread);
    if (item != nullptr && item->tid == 0) id = item->id;  // a detached one is not joined: it ended, and this is another
  });
  return id;
}

void ThreadJoined(uint64_t thread, uint64_t record) {
  Visit([&](ThreadState* state) {
    Recorded* item = Find(thread);
    const bool joinable = item != nullptr && item->id != 0 && item->tid == 0;
    if (joinable && (record == 0 || item->id == record)) End(state, item);
    else if (record == 0) NoteEarly(state, thread, 0);
  });
}

void ThreadDetaches(uint64_t thread) {
  Visit([&](ThreadState* state) {
    Recorded* item = Find(thread);
    const uint32_t tid = TidOf(thread);
    if (item != nullptr && item->id != 0 && item->tid == 0) BecomeDetached(state, item, tid);
    else if (item == nullptr || item->tid != tid) NoteEarly(state, thread, tid);
  });
}

void EndThreadsThatEnded() {
  Visit([](ThreadState* state) {
    for (uint32_t left = g_threads.count; left > 0; --left) LookAtNext(state);
  });
}

void ForgetThreads() {
  Visit([](ThreadState* state) {
    for (uint32_t i = 0; i < g_threads.count; ++i) Retire(state, g_threads.items[i]);
    g_threads.count = 0;
  });
}

void ThreadsAfterFork() {
  g_threads.lock = sys::SpinLock();
  g_threads.count = 0;  // the child has one thread
  g_threads.creating = 0;
}

}  // namespace leakhunt::core
