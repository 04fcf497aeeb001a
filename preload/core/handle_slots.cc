#include "preload/core/handle_slots.h"

#include "preload/core/process.h"
#include "preload/core/ref_table.h"
#include "preload/core/stacks.h"
#include "preload/sys/atomic.h"

namespace leakhunt::core {
namespace {

using protocol::AreaKind;
using protocol::HandleSlot;
using protocol::HandleTally;

constexpr uint32_t kReserve = 16;  // openings in one handler storm between two visits

// A stack of free slots. Head: address / 128 in the lower 41 bits, a count of changes above it, against reuse between a
// reader's look and its exchange. The link is the free slot's `inode`.
struct FreeList {
  uint64_t head = 0;

  HandleSlot* Pop() {
    for (;;) {
      uint64_t seen = sys::LoadAcquire(&head);  // partner: Push
      HandleSlot* slot = SlotOf(seen);
      if (slot == nullptr) return nullptr;
      uint64_t next = sys::LoadRelaxed(&slot->inode);  // another taker may be changing it: then seen is old
      if (sys::CompareExchange(&head, seen, Changed(seen, next))) return slot;
    }
  }
  void Push(HandleSlot* slot) {
    for (;;) {
      uint64_t seen = sys::LoadRelaxed(&head);
      sys::StoreRelaxed(&slot->inode, seen & kSlotMask);
      if (sys::CompareExchange(&head, seen, Changed(seen, reinterpret_cast<uint64_t>(slot) / sizeof(HandleSlot)))) return;
    }
  }
  bool Empty() const { return SlotOf(sys::LoadRelaxed(&head)) == nullptr; }

 private:
  static constexpr uint32_t kSlotBits = 41;
  static constexpr uint64_t kSlotMask = (uint64_t{1} << kSlotBits) - 1;
  static HandleSlot* SlotOf(uint64_t seen) { return reinterpret_cast<HandleSlot*>((seen & kSlotMask) * sizeof(HandleSlot)); }
  static uint64_t Changed(uint64_t seen, uint64_t slot) {
    return ((seen >> kSlotBits) + 1) << kSlotBits | (slot & kSlotMask);
  }
};
constinit FreeList g_free, g_reserve;
constinit uint32_t g_areas = 0;

struct Tallies {
  sys::SpinLock lock;
  RefTable by_stack;
  HandleTally* page = nullptr;
  uint64_t file_offset = 0;
  uint32_t used = 0;
};
constinit Tallies g_tallies;
constinit uint32_t g_unknown_tally = 0;

constexpr uint32_t kHandleTallyPages = 2;
constexpr uint32_t kTalliesPerArea = kHandleTallyPages * protocol::kPageBytes / sizeof(HandleTally);

uint64_t Key(uint32_t stack) { return uint64_t{stack} << 32; }

// Takes a new area and puts its slots into `list`.
bool Refill(FreeList* list) {
  uint32_t pages = g_areas == 0 ? 1 : g_areas < 4 ? 4 : 16;
  transport::Area area = g_process.pages->Allocate(AreaKind::kHandles, pages, 0);
  if (area.start == nullptr && pages > 1) area = g_process.pages->Allocate(AreaKind::kHandles, 1, 0);
  if (area.start == nullptr) return false;
  ++g_areas;
  auto* slots = reinterpret_cast<HandleSlot*>(area.start);
  for (uint32_t i = area.bytes / sizeof(HandleSlot); i > 0; --i) list->Push(&slots[i - 1]);
  return true;
}

void FillReserve() {
  for (uint32_t i = 0; i < kReserve; ++i) {
    HandleSlot* slot = g_free.Pop();
    if (slot == nullptr) return;
    g_reserve.Push(slot);
  }
}

uint32_t FindTally(uint32_t stack) {
  return g_tallies.by_stack.Find(Key(stack), [&](uint32_t reference) { return HandleTallyAt(reference)->stack == stack; });
}

}  // namespace

HandleSlot* TakeHandleSlot(SlotTaker taker) {
  HandleSlot* slot = g_free.Pop();
  if (taker == SlotTaker::kVisitor) {
    if (slot == nullptr && Refill(&g_free)) slot = g_free.Pop();
    if (g_reserve.Empty()) FillReserve();
  } else if (slot == nullptr) {
    slot = g_reserve.Pop();
  }
  return slot;
}

void GiveHandleSlot(HandleSlot* slot) { g_free.Push(slot); }

uint32_t HandleTallyOf(uint32_t stack, protocol::HandleType type) {
  uint32_t found = FindTally(stack);
  if (found != 0) return found;
  Tallies& t = g_tallies;
  if (!t.lock.Acquire(g_process.generation)) return 0;
  found = FindTally(stack);
  if (found == 0) {
    if (t.page == nullptr || t.used == kTalliesPerArea) {
      transport::Area area = g_process.pages->Allocate(AreaKind::kHandleTally, kHandleTallyPages, 0);
      t.page = reinterpret_cast<HandleTally*>(area.start);
      t.file_offset = area.file_offset;
      t.used = 0;
    }
    if (t.page != nullptr) {
      HandleTally* tally = &t.page[t.used];
      tally->stack = stack;
      sys::StoreRelease(&tally->used, 1 | (static_cast<uint32_t>(type) + 1) << 8);  // partner: the collector's tally sweep
      found = static_cast<uint32_t>(t.file_offset / sizeof(HandleTally)) + t.used++;
      t.by_stack.Insert(Key(stack), found);
    }
  }
  t.lock.Release();
  return found;
}

uint32_t UnknownHandleTally() { return g_unknown_tally; }

void InitializeHandleSlots() {
  g_free = g_reserve = FreeList();
  g_areas = 0;
  g_tallies = Tallies();
  g_unknown_tally = 0;
  if (!g_tallies.by_stack.Create(g_process.generation, 512)) return;
  g_unknown_tally = HandleTallyOf(UnknownStack(), protocol::HandleType::kOther);
  if (Refill(&g_free)) FillReserve();
}

}  // namespace leakhunt::core
