#include "preload/core/joinable_threads.h"

#include "preload/core/process.h"
#include "preload/core/stacks.h"
#include "preload/core/thread_state.h"
#include "preload/core/tracker.h"
#include "preload/sys/atomic.h"
#include "preload/sys/memory.h"

namespace leakhunt::core {
namespace {

using protocol::BlockKind;
using protocol::RecordSlot;
using protocol::SlotState;

struct Joinable {
  uint64_t thread;  // pthread_t; 0: free entry
  uint64_t id;      // 0: an early end, of a thread whose creator is not back
  uint64_t size_interval;
  uint32_t slot;    // file offset / 32; 0 none
  uint32_t stack;
  uint32_t birth_tick;
  uint32_t generation;
};

struct Table {
  sys::SpinLock lock;
  Joinable* items = nullptr;
  uint32_t count = 0, capacity = 0;
  uint64_t next_id = 0;
  uint32_t creating = 0;
};
constinit Table g_threads;

bool Tracked() { return (g_process.options.track & protocol::kTrackThreads) != 0; }

// Linear: live joinable threads are few hundreds, and every call is a system call away from the next.
Joinable* Find(uint64_t thread) {
  for (uint32_t i = 0; i < g_threads.count; ++i) {
    if (g_threads.items[i].thread == thread) return &g_threads.items[i];
  }
  return nullptr;
}

Joinable* Append() {
  Table& t = g_threads;
  if (t.count == t.capacity) {
    uint32_t capacity = t.capacity == 0 ? 64 : t.capacity * 2;
    auto* items = static_cast<Joinable*>(sys::MapPrivate(capacity * sizeof(Joinable)));
    if (items == nullptr) return nullptr;
    if (t.items != nullptr) {
      sys::Copy(items, t.items, t.count * sizeof(Joinable));
      sys::Discard(t.items, t.capacity * sizeof(Joinable));
    }
    t.items = items;
    t.capacity = capacity;
  }
  return &t.items[t.count++];
}

void Remove(Joinable* item) { *item = g_threads.items[--g_threads.count]; }

void Retire(ThreadState* state, const Joinable& item) {
  if (item.slot == 0 || item.generation != g_process.generation) return;
  auto* slot = reinterpret_cast<RecordSlot*>(g_process.pages->At(uint64_t{item.slot} * sizeof(RecordSlot)));
  if (slot == nullptr) return;
  uint64_t generation = protocol::GenerationOf(sys::LoadRelaxed(&slot->state));
  sys::StoreRelease(&slot->state, protocol::PackState(generation, SlotState::kDead));  // partner: the collector's sweep
  TallyDied(state, item.stack, BlockKind::kThread, item.size_interval, item.birth_tick);
}

// A record for a thread that runs; whatever stood under its pthread_t ended out of sight.
void Publish(ThreadState* state, uint64_t thread, uint64_t stack_bytes) {
  Joinable* item = Find(thread);
  if (item != nullptr) Retire(state, *item);
  else item = Append();
  uint64_t file_offset = 0;
  RecordSlot* slot = item == nullptr ? nullptr : TakeSlot(state, &file_offset);
  if (slot == nullptr) {
    if (item != nullptr) Remove(item);
    return CountLoss(stack_bytes);
  }
  *item = Joinable{thread, ++g_threads.next_id, protocol::PackSize(stack_bytes, protocol::EncodeInterval(1)),
                   static_cast<uint32_t>(file_offset / sizeof(RecordSlot)), CaptureStack(state), NowTick(),
                   g_process.generation};
  FillSlot(state, slot, thread, item->size_interval, item->stack, item->birth_tick, BlockKind::kThread);
  TallyBorn(state, item->stack, BlockKind::kThread, item->size_interval, item->birth_tick);
}

void ForgetEarlyEnds() {
  for (uint32_t i = 0; i < g_threads.count;) {
    if (g_threads.items[i].id == 0) Remove(&g_threads.items[i]);
    else ++i;
  }
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
    Joinable* early = thread == 0 ? nullptr : Find(thread);
    if (early != nullptr && early->id == 0) {
      Remove(early);
    } else if (thread != 0 && !detached) {
      Publish(state, thread, stack_bytes);
    }
    if (--g_threads.creating == 0) ForgetEarlyEnds();
  });
}

uint64_t ThreadRecordOf(uint64_t thread) {
  uint64_t id = 0;
  Visit([&](ThreadState*) {
    Joinable* item = Find(thread);
    if (item != nullptr) id = item->id;
  });
  return id;
}

void ThreadGone(uint64_t thread, uint64_t record) {
  Visit([&](ThreadState* state) {
    Joinable* item = Find(thread);
    if (item == nullptr) {
      if (record != 0 || g_threads.creating == 0) return;
      item = Append();
      if (item != nullptr) *item = Joinable{thread, 0, 0, 0, 0, 0, 0};
    } else if (item->id != 0 && (record == 0 || item->id == record)) {
      Retire(state, *item);
      Remove(item);
    }
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
