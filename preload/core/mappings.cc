#include "preload/core/mappings.h"

#include "preload/core/process.h"
#include "preload/core/stacks.h"
#include "preload/core/thread_state.h"
#include "preload/core/tracker.h"
#include "preload/sys/atomic.h"
#include "preload/sys/memory.h"
#include "preload/unwind/unwinder.h"

namespace leakhunt::core {
namespace {

using protocol::BlockKind;
using protocol::RecordSlot;
using protocol::SlotState;

struct Range {
  uint64_t start, end;
  uint32_t slot;  // file offset / 32; 0: inherited by a fork, counted elsewhere
  uint32_t stack;
  uint32_t birth_tick;
  uint32_t generation;
};

struct Ranges {
  sys::SpinLock lock;
  Range* items = nullptr;
  uint32_t count = 0, capacity = 0;
};
constinit Ranges g_ranges;

// Ends of mappings that could not be written because the lock's holder did not run: preempted, or suspended by a runtime that
// stops its world, which must not wait for it. Whoever has the lock next cuts them first. What is mapped at the same addresses
// afterwards is put in under the lock, so it comes later.
struct LateEnd {
  uint64_t start, end;  // end: 0 free; 1 being written; else release-stored last
};
constexpr uint32_t kLateEnds = 256;
constinit LateEnd g_late_ends[kLateEnds] = {};
constinit uint32_t g_late_count = 0;  // of those in use, at least
constinit uint64_t g_allocator_start = 0, g_allocator_end = 0;

constexpr uint64_t kPage = 4096;
constexpr uint64_t kShortPatienceNs = 2'000'000;
uint64_t RoundUp(uint64_t bytes) { return (bytes + kPage - 1) & ~(kPage - 1); }

// First range that ends after `address`.
uint32_t LowerBound(uint64_t address) {
  uint32_t low = 0, high = g_ranges.count;
  while (low < high) {
    uint32_t middle = (low + high) / 2;
    if (g_ranges.items[middle].end <= address) low = middle + 1;
    else high = middle;
  }
  return low;
}

bool MakeRoom() {
  Ranges& r = g_ranges;
  if (r.count < r.capacity) return true;
  uint32_t capacity = r.capacity == 0 ? 128 : r.capacity * 2;
  auto* items = static_cast<Range*>(sys::MapPrivate(capacity * sizeof(Range)));
  if (items == nullptr) return false;
  if (r.items != nullptr) {
    sys::Copy(items, r.items, r.count * sizeof(Range));
    sys::Discard(r.items, r.capacity * sizeof(Range));
  }
  r.items = items;
  r.capacity = capacity;
  return true;
}

void InsertAt(uint32_t index, const Range& range) {
  __builtin_memmove(&g_ranges.items[index + 1], &g_ranges.items[index], (g_ranges.count - index) * sizeof(Range));
  g_ranges.items[index] = range;
  ++g_ranges.count;
}

RecordSlot* SlotOf(const Range& range) {
  if (range.slot == 0 || range.generation != g_process.generation) return nullptr;
  return reinterpret_cast<RecordSlot*>(g_process.pages->At(uint64_t{range.slot} * sizeof(RecordSlot)));
}

uint64_t PackedSize(const Range& range) { return protocol::PackSize(range.end - range.start, protocol::EncodeInterval(1)); }

void Kill(ThreadState* state, const Range& range) {
  if (RecordSlot* slot = SlotOf(range); slot != nullptr) {
    uint64_t generation = protocol::GenerationOf(sys::LoadRelaxed(&slot->state));
    sys::StoreRelease(&slot->state, protocol::PackState(generation, SlotState::kDead));
    TallyDied(state, range.stack, BlockKind::kMmap, PackedSize(range), range.birth_tick);
  }
}

// Gives the range a record, at the place it has in the array.
void Publish(ThreadState* state, Range* range) {
  uint64_t file_offset = 0;
  RecordSlot* slot = TakeSlot(state, &file_offset);
  range->slot = 0;
  range->generation = g_process.generation;
  if (slot == nullptr) return CountLoss(range->end - range->start);
  range->slot = static_cast<uint32_t>(file_offset / sizeof(RecordSlot));
  FillSlot(state, slot, range->start, PackedSize(*range), range->stack, range->birth_tick, BlockKind::kMmap);
  TallyBorn(state, range->stack, BlockKind::kMmap, PackedSize(*range), range->birth_tick);
}

// What is left of a cut range: the same record, smaller. One word, so a reader sees the old or the new size.
void Shrink(ThreadState* state, Range* range, uint64_t start, uint64_t end) {
  RecordSlot* slot = SlotOf(*range);
  TallyShrunk(state, range->stack, BlockKind::kMmap, (range->end - range->start) - (end - start));
  range->start = start;
  range->end = end;
  if (slot == nullptr) return;
  sys::StoreRelaxed(&slot->address_kind, protocol::PackAddress(start, BlockKind::kMmap, 0));
  sys::StoreRelease(&slot->size_interval, PackedSize(*range));
}

// Removes [start, end) from the table. Under the lock.
MappingOrigin Cut(ThreadState* state, uint64_t start, uint64_t end) {
  MappingOrigin origin;
  uint32_t i = LowerBound(start);
  while (i < g_ranges.count && g_ranges.items[i].start < end) {
    Range* range = &g_ranges.items[i];
    if (!origin.known) origin = MappingOrigin{range->stack, range->birth_tick, true};
    if (range->start < start && range->end > end) {  // a hole: the tail becomes a range of its own
      Range tail = *range;
      tail.start = end;
      Shrink(state, range, range->start, start);
      if (!MakeRoom()) return origin;
      InsertAt(i + 1, tail);
      Publish(state, &g_ranges.items[i + 1]);
      return origin;
    }
    if (range->start < start) {
      Shrink(state, range, range->start, start);
      ++i;
    } else if (range->end > end) {
      Shrink(state, range, end, range->end);
      return origin;
    } else {
      Kill(state, *range);
      __builtin_memmove(range, range + 1, (g_ranges.count - i - 1) * sizeof(Range));
      --g_ranges.count;
    }
  }
  return origin;
}

// False when there is no place.
bool EndLater(uint64_t start, uint64_t end) {
  for (LateEnd& late : g_late_ends) {
    if (sys::LoadRelaxed(&late.end) != 0 || !sys::CompareExchange(&late.end, uint64_t{0}, uint64_t{1})) continue;
    sys::AddRelaxed(&g_late_count, 1u);
    sys::StoreRelaxed(&late.start, start);
    sys::StoreRelease(&late.end, end);  // partner: CutLateEnds
    return true;
  }
  return false;
}

// Under the lock.
void CutLateEnds(ThreadState* state) {
  if (__builtin_expect(sys::LoadRelaxed(&g_late_count) == 0, 1)) return;
  for (LateEnd& late : g_late_ends) {
    const uint64_t end = sys::LoadAcquire(&late.end);  // partner: EndLater
    if (end <= 1) continue;
    Cut(state, sys::LoadRelaxed(&late.start), end);
    sys::StoreRelease(&late.end, uint64_t{0});
    sys::AddRelaxed(&g_late_count, ~0u);
  }
}

// With what came late meanwhile: who put it there looks at the lock afterwards, who releases it looks there afterwards.
void Unlock(ThreadState* state) {
  for (;;) {
    CutLateEnds(state);
    g_ranges.lock.Release();
    __atomic_thread_fence(__ATOMIC_SEQ_CST);  // partner: CutOrEndLater
    if (sys::LoadRelaxed(&g_late_count) == 0 || !g_ranges.lock.TryAcquire(g_process.generation)) return;
  }
}

// The lock's holder does not run.
MappingOrigin CutOrEndLater(ThreadState* state, uint64_t start, uint64_t end) {
  MappingOrigin origin;
  const bool later = EndLater(start, end);
  __atomic_thread_fence(__ATOMIC_SEQ_CST);  // partner: Unlock
  if (later ? !g_ranges.lock.TryAcquire(g_process.generation)
            : !g_ranges.lock.AcquirePatiently(g_process.generation, kShortPatienceNs)) {
    return origin;
  }
  if (!later) origin = Cut(state, start, end);
  Unlock(state);
  return origin;
}

void Put(ThreadState* state, uint64_t start, uint64_t bytes, uint32_t stack, uint32_t birth_tick) {
  if (!g_ranges.lock.AcquirePatiently(g_process.generation, kShortPatienceNs)) {
    CutOrEndLater(state, start, start + RoundUp(bytes));  // what was recorded there has ended all the same
    return CountLoss(bytes);
  }
  CutLateEnds(state);
  Cut(state, start, start + RoundUp(bytes));
  if (MakeRoom()) {
    uint32_t i = LowerBound(start);
    InsertAt(i, Range{start, start + RoundUp(bytes), 0, stack, birth_tick, 0});
    Publish(state, &g_ranges.items[i]);
  } else {
    CountLoss(bytes);
  }
  Unlock(state);
}

bool Tracked() { return (g_process.options.track & protocol::kTrackMmap) != 0; }

}  // namespace

void SetAllocatorRange(uint64_t start, uint64_t end) {
  g_allocator_start = start;
  g_allocator_end = end;
}

void MappingBorn(uint64_t start, uint64_t bytes) {
  if (!Enter()) return;
  ThreadState* state = Tracked() ? EnsureThreadState() : nullptr;
  if (state != nullptr) {
    uint32_t stack = CaptureStack(state);
    uint64_t caller = InnermostPc(state);
    if (caller < g_allocator_start || caller >= g_allocator_end) Put(state, start, bytes, stack, NowTick());
  }
  Leave();
}

MappingOrigin MappingTaken(uint64_t start, uint64_t bytes) {
  MappingOrigin origin;
  if (!Enter()) return origin;
  ThreadState* state = Tracked() ? EnsureThreadState() : nullptr;
  const uint64_t end = start + RoundUp(bytes);
  if (state != nullptr && g_ranges.lock.AcquireAtOnce(g_process.generation)) {
    CutLateEnds(state);
    origin = Cut(state, start, end);
    Unlock(state);
  } else if (state != nullptr) {
    origin = CutOrEndLater(state, start, end);
  }
  Leave();
  return origin;
}

void MappingPut(uint64_t start, uint64_t bytes, const MappingOrigin& origin) {
  if (!origin.known || !Enter()) return;
  if (ThreadState* state = EnsureThreadState(); state != nullptr) Put(state, start, bytes, origin.stack, origin.birth_tick);
  Leave();
}

uint64_t MappingBytesAt(uint64_t start) {
  if (!Enter()) return 0;
  uint64_t bytes = 0;
  if (Tracked() && g_ranges.lock.AcquirePatiently(g_process.generation, kShortPatienceNs)) {
    uint32_t i = LowerBound(start);
    if (i < g_ranges.count && g_ranges.items[i].start == start) bytes = g_ranges.items[i].end - start;
    g_ranges.lock.Release();
  }
  Leave();
  return bytes;
}

void ForgetMappings() { MappingTaken(0, ~uint64_t{0} - kPage); }

void MappingsAfterFork() {
  g_ranges.lock = sys::SpinLock();
  for (LateEnd& late : g_late_ends) late.end = late.end > 1 ? late.end : 0;  // one that a thread of the parent was writing is void
  // Stack references are the parent's. Inherited mappings stay as ranges (a munmap must find them) without a record.
  for (uint32_t i = 0; i < g_ranges.count; ++i) {
    g_ranges.items[i].slot = 0;
    g_ranges.items[i].stack = UnknownStack();
    g_ranges.items[i].birth_tick = 0;
  }
}

}  // namespace leakhunt::core
