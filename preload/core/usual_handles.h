// What nearly every opening and closing of a server is, in one piece, for the hooks of the calls that servers make most.
//
// A process and a thread that nothing is the matter with, and for an opening: from a place and by a way that this thread came
// before, with a dead slot at hand. All of it is looked at at once (g_process.usual_openings says it of the process,
// ThreadState::alive of the thread), nothing is walked, asked or made. Where it is not so, nothing has been done when
// these return false, and handles.h's function does it. Measured in instructions and lines of code: a server's
// near caches are full of the kernel's.
#pragma once

#include <cstddef>
#include <cstdint>

#include "preload/core/descriptor_table.h"
#include "preload/core/governor.h"
#include "preload/core/handle_slots.h"
#include "preload/core/handles.h"
#include "preload/core/process.h"
#include "preload/core/thread_state.h"
#include "preload/sys/atomic.h"
#include "preload/sys/hot.h"
#include "preload/sys/text.h"
#include "preload/unwind/module_map.h"

namespace leakhunt::core {

constexpr uint64_t HandleTypes(auto... types) { return (... | (uint64_t{1} << static_cast<uint32_t>(types))); }

inline uint16_t GenerationTag() { return static_cast<uint16_t>(g_process.generation); }

// A signal handler of the thread comes before it or after it.
[[gnu::always_inline]] inline bool KeepIn(protocol::HandleSlot** kept, protocol::HandleSlot* slot) {
  return sys::CompareExchangeOwned(kept, static_cast<protocol::HandleSlot*>(nullptr), slot);
}
LEAKHUNT_ASIDE void KeepSpareSlot(ThreadState* state, protocol::HandleSlot* slot);

// The handle of an entry that is out of the table is closed.
LEAKHUNT_ASIDE void Retire(DescriptorEntry entry);

// Up to its NUL; of a label that is too long, the end. Returns its length.
LEAKHUNT_ASIDE uint32_t CopyLabelOfAnyLength(protocol::HandleSlot* slot, const char* label);

// Only the byte that holds the state.
inline void MarkDead(protocol::HandleSlot* slot) {
  static_assert(protocol::PackState(0, protocol::SlotState::kDead) <= 0xFF && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__);
  sys::StoreRelease(reinterpret_cast<uint8_t*>(&slot->state), static_cast<uint8_t>(protocol::SlotState::kDead));  // partner: the collector's sweep
}

// Returns its length, which is not in the slot yet.
[[gnu::always_inline]] inline uint32_t CopyLabel(protocol::HandleSlot* slot, const char* label, uint32_t length) {
  if (label == nullptr) return 0;
  if (length == kUpToNul) length = sys::CopyShortText<protocol::kLabelBytes>(slot->label, label);
  else if (length <= protocol::kLabelBytes) sys::CopyShort(slot->label, label, length);
  return __builtin_expect(length > protocol::kLabelBytes, 0) ? CopyLabelOfAnyLength(slot, label) : length;
}

// fd, type, flags and label_bytes, in one store.
[[gnu::always_inline]] inline void PutAbout(protocol::HandleSlot* slot, int fd, const HandleDescription& description, uint32_t label_bytes) {
  using protocol::HandleSlot;
  constexpr size_t kAt = offsetof(HandleSlot, fd);
  static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ && offsetof(HandleSlot, type) == kAt + 4 && offsetof(HandleSlot, flags) == kAt + 5 &&
                offsetof(HandleSlot, label_bytes) == kAt + 6);
  const uint64_t about = static_cast<uint32_t>(fd) | uint64_t{static_cast<uint8_t>(description.type)} << 32 | uint64_t{description.flags} << 40 |
                         uint64_t{label_bytes} << 48;
  __builtin_memcpy(&slot->fd, &about, sizeof(about));
}

// The stack that opens, and its tally.
struct Opening {
  uint32_t stack;
  uint32_t reference;  // of the tally; 0, null: none was to be had
  protocol::HandleTally* tally;
};

// Fills the slot, makes it live, and swings the number's entry to it. Returns the entry before: closed out of sight.
[[gnu::always_inline]] inline DescriptorEntry PublishAt(uint64_t* word, int fd, const HandleDescription& description, protocol::HandleSlot* slot,
                                                        const Opening& opening, uint32_t thread, uint32_t tick) {
  const uint64_t generation = protocol::GenerationOf(sys::LoadRelaxed(&slot->state)) + 1;
  sys::StoreRelaxed(&slot->state, protocol::PackState(generation, protocol::SlotState::kFilling));
  sys::StoreRelease(&slot->stack_birth, protocol::PackStack(opening.stack, tick));
  slot->thread = thread;
  slot->tally = opening.reference;
  slot->inode = 0;
  PutAbout(slot, fd, description, CopyLabel(slot, description.label, description.label_bytes));
  const bool one_thread = sys::HasOneThread();
  CountOpened(opening.tally, one_thread);
  sys::StoreRelease(&slot->state, protocol::PackState(generation, protocol::SlotState::kLive));  // partner: the collector's sweep
  return ExchangeDescriptor(word, PackEntry(slot, GenerationTag(), description.type, false), one_thread);
}

inline OpeningPlace* PlaceOf(ThreadState* state, const unwind::CallerRegisters& caller) {
  return &state->opening_places[(caller.pc + (caller.sp >> 4)) % kOpeningPlaces];
}

// Null: something may be the matter.
[[gnu::always_inline]] inline ThreadState* NothingUnusual(uint64_t types) {
  if (__builtin_expect((sys::LoadAcquire(&g_process.usual_openings) & types) == 0, 0)) return nullptr;
  asm volatile("" ::: "memory");  // a child by clone may have no t_local
  const ThreadLocal& local = t_local;
  if (__builtin_expect(local.BusyOrVforking(), 0)) return nullptr;
  ThreadState* const state = local.state;
  return __builtin_expect(state != nullptr && state->alive != 0, 1) ? state : nullptr;
}

// HandleOpened, if it is the usual one, of a number whose word in the table is `word`.
[[gnu::always_inline]] inline bool OpenedAsUsual(uint64_t* word, int fd, const HandleDescription& description, const unwind::CallerRegisters& caller) {
  ThreadState* const state = NothingUnusual(HandleTypes(description.type));
  if (__builtin_expect(state == nullptr, 0)) return false;
  MarkBusy(&t_local);  // a signal handler of this thread sees busy before anything below
  const OpeningPlace* const place = PlaceOf(state, caller);
  protocol::HandleSlot** const kept = state->handle_slot != nullptr ? &state->handle_slot : &state->spare_slot;
  protocol::HandleSlot* const slot = *kept;
  bool usual = slot != nullptr && place->walk.Holds(caller, unwind::CurrentEpoch());
  if (__builtin_expect(usual && state->openings_left == 0, 0)) usual = GrantOpenings(state);
  if (__builtin_expect(usual, 1)) {
    --state->openings_left;
    *kept = nullptr;
    const Opening opening = {place->stack, place->reference, place->tally};
    if (opening.tally == nullptr) __builtin_unreachable();  // no walk is kept then
    state->recent_tally = opening.reference;
    const DescriptorEntry before = PublishAt(word, fd, description, slot, opening, state->index, state->opening_tick);
    if (__builtin_expect(bool{before}, 0)) Retire(before);
  }
  asm volatile("" ::: "memory");
  t_local.busy = 0;
  return usual;
}

// HandleClosing, if it is the usual one. Each step is whole to a signal handler, so the thread need not be busy.
[[gnu::always_inline]] inline bool ClosingAsUsual(uint64_t* word) {
  ThreadState* const state = NothingUnusual(~uint64_t{0});
  if (__builtin_expect(state == nullptr, 0)) return false;
  const DescriptorEntry entry{sys::LoadRelaxed(word)};
  if (__builtin_expect(!entry.IsOwnOf(GenerationTag()), 0)) return false;
  const bool one_thread = sys::HasOneThread();
  if (__builtin_expect(!sys::CompareExchangePrivate(word, entry.word, uint64_t{0}, one_thread), 0)) return false;
  protocol::HandleSlot* const slot = entry.Slot();
  // What was opened last is closed next, as a rule; then the tally's address does not wait for the slot to arrive. One word, not
  // the address beside it: a signal handler that opens something could come between two.
  const uint32_t tally = sys::LoadRelaxed(&state->recent_tally);
  if (__builtin_expect(slot->tally != tally, 0)) {
    Retire(entry);
    return true;
  }
  MarkDead(slot);
  sys::AddPrivate(&HandleTallyAt(tally)->closed, uint64_t{1}, one_thread);
  if (__builtin_expect(!KeepIn(&state->handle_slot, slot), 0)) KeepSpareSlot(state, slot);
  return true;
}

}  // namespace leakhunt::core
