#include "preload/unwind/walk_memo.h"

#include "preload/unwind/quick_step.h"

namespace leakhunt::unwind {

bool WalkMemo::Add(uint64_t at, uint64_t value) {
  const uint64_t above = (at - sp_) / sizeof(uint64_t);
  if (words_ == kMostWords || above > 0xFFFF || at % sizeof(uint64_t) != 0) return false;
  above_[words_] = static_cast<uint16_t>(above);
  value_[words_++] = value;
  return true;
}

bool WalkMemo::WalkFrom(const Registers& start, const StackLimits& limits, uint32_t epoch) {
  const RuleTable table = CurrentRuleTable(epoch);
  Cursor cursor;
  if (!StartAt(start, limits, &cursor)) return false;
  uint64_t rbp_slot = 0;  // where the frame's rbp was read; 0: it is the one of `start`
  for (;;) {
    const FoundRule found = FindRule(table, cursor.pc - 1 + cursor.exact);
    if (found.entry == nullptr) return false;
    if (found.rule == PackTerminal(Terminal::kBottom)) return true;
    if ((found.rule & kRuleNotSimple) != 0) return false;
    if ((found.rule & kRuleFramePointer) != 0) {
      if (rbp_slot == 0) uses_rbp_ = true;
      else if (!Add(rbp_slot, cursor.rbp)) return false;
    }
    const Quick quick = QuickStep(table, &cursor);
    if (quick != Quick::kStepped && quick != Quick::kBottom) return false;
    if (!Add(cursor.sp - 8, cursor.pc)) return false;
    if (quick == Quick::kBottom) return true;
    if (cursor.saved_slot != 0) rbp_slot = cursor.saved_slot;
  }
}

void WalkMemo::Keep(const Registers& start, const StackLimits& limits, uint32_t epoch) {
  pc_ = 0;
  sp_ = start.sp;
  words_ = 0;
  uses_rbp_ = false;
  if (!WalkFrom(start, limits, epoch)) return;
  for (; words_ % kAtOnce != 0; ++words_) {
    above_[words_] = above_[words_ - 1];
    value_[words_] = value_[words_ - 1];
  }
  rbp_ = start.rbp;
  epoch_ = epoch;
  pc_ = start.pc;
}

}  // namespace leakhunt::unwind
