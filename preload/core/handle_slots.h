// Where handles are recorded: free HandleSlots of the shared pages, and one HandleTally a call stack.
//
// Free slots are a lock-free list, so that a signal handler that interrupted leakhunt can take and give back. New areas
// are taken only by a caller that is busy and not interrupted leakhunt (the page lock); a small reserve stays for handlers.
#pragma once

#include <cstdint>

#include "preload/core/process.h"
#include "preload/protocol/layout.h"
#include "preload/sys/hot.h"

namespace leakhunt::core {

// Who takes a slot: a visitor may allocate pages, a handler inside leakhunt uses what is there.
enum class SlotTaker : uint8_t { kVisitor, kHandler };

// A dead slot to fill; null at the memory bound (or, for a handler, when the reserve is used up).
protocol::HandleSlot* TakeHandleSlot(SlotTaker taker);
LEAKHUNT_ASIDE void GiveHandleSlot(protocol::HandleSlot* slot);

// Reference of the stack's tally, made when new (of a handle of `type`); 0 at the bound. Caller is a visitor.
uint32_t HandleTallyOf(uint32_t stack, protocol::HandleType type);
// The tally of the unknown stack; any context.
uint32_t UnknownHandleTally();

inline protocol::HandleTally* HandleTallyAt(uint32_t reference) {
  const uint64_t offset = uint64_t{reference} * sizeof(protocol::HandleTally);
  return reinterpret_cast<protocol::HandleTally*>(offset < protocol::kExtentBytes ? g_process.first_extent + offset : g_process.pages->At(offset));
}
// Null: none was to be had.
inline void CountOpened(protocol::HandleTally* tally, bool one_thread) {
  if (tally == nullptr) return;
  const uint64_t opened = sys::AddPrivate(&tally->opened, uint64_t{1}, one_thread) + 1;
  const uint64_t open = opened - sys::LoadRelaxed(&tally->closed);  // below 0 when another thread has closed meanwhile
  if (__builtin_expect(static_cast<int64_t>(open) > static_cast<int64_t>(sys::LoadRelaxed(&tally->peak)), 0)) sys::StoreRelaxed(&tally->peak, open);
}
inline void CountClosed(uint32_t reference) {
  if (reference != 0) sys::AddPrivate(&HandleTallyAt(reference)->closed, uint64_t{1});
}

// For a new image or forked child, after its pages exist.
void InitializeHandleSlots();

}  // namespace leakhunt::core
