// Where handles are recorded: free HandleSlots of the shared pages, and one HandleTally a call stack.
//
// Free slots are a lock-free list, so that a signal handler that interrupted leakhunt can take and give back. New areas
// are taken only by a caller that is busy and not interrupted leakhunt (the page lock); a small reserve stays for handlers.
#pragma once

#include <cstdint>

#include "preload/protocol/layout.h"

namespace leakhunt::core {

// Who takes a slot: a visitor may allocate pages, a handler inside leakhunt uses what is there.
enum class SlotTaker : uint8_t { kVisitor, kHandler };

protocol::HandleSlot* HandleSlotAt(uint32_t reference);

// A dead slot to fill and its reference; null at the memory bound (or, for a handler, when the reserve is used up).
protocol::HandleSlot* TakeHandleSlot(SlotTaker taker, uint32_t* reference);
void GiveHandleSlot(uint32_t reference);

// Reference of the stack's tally, made when new; 0 at the bound. Caller is a visitor.
uint32_t HandleTallyOf(uint32_t stack);
// The tally of the unknown stack; any context.
uint32_t UnknownHandleTally();
void CountOpened(uint32_t tally);
void CountClosed(uint32_t tally);

// For a new image or forked child, after its pages exist.
void InitializeHandleSlots();

}  // namespace leakhunt::core
