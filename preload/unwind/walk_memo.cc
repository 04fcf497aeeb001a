#include "preload/unwind/walk_memo.h"

#include "preload/unwind/quick_step.h"

namespace leakhunt::unwind {

bool WalkMemo::Put(uint32_t count, uint64_t at, uint64_t value) {
  const uint64_t above = (at - sp_) / sizeof(uint64_t);
  if (count == kMostWords || above > 0xFFFF || at % sizeof(uint64_t) != 0) return false;
  Words& words = words_[count / kAtOnce];
  words.above[count % kAtOnce] = static_cast<uint16_t>(above);
  words.value[count % kAtOnce] = value;
  return true;
}

uint32_t WalkMemo::WalkFrom(const Registers& start, const StackLimits& limits, uint32_t epoch) {
  const RuleTable table = CurrentRuleTable(epoch);
  Cursor cursor;
  if (!StartAt(start, limits, &cursor)) return kNotKept;
  uint64_t rbp_slot = 0;  // where the frame's rbp was read; 0: it is the one of `start`
  for (uint32_t count = 0;;) {
    const FoundRule found = FindRule(table, cursor.pc - 1 + cursor.exact);
    if (found.entry == nullptr) return kNotKept;
    if (found.rule == PackTerminal(Terminal::kBottom)) return count;
    if ((found.rule & kRuleNotSimple) != 0) return kNotKept;
    if ((found.rule & kRuleFramePointer) != 0) {
      if (rbp_slot == 0) uses_rbp_ = true;
      else if (!Put(count++, rbp_slot, cursor.rbp)) return kNotKept;
    }
    const Quick quick = QuickStep(table, &cursor);
    if (quick != Quick::kStepped && quick != Quick::kBottom) return kNotKept;
    if (!Put(count++, cursor.sp - 8, cursor.pc)) return kNotKept;
    if (quick == Quick::kBottom) return count;
    if (cursor.saved_slot != 0) rbp_slot = cursor.saved_slot;
  }
}

void WalkMemo::Keep(const Registers& start, const StackLimits& limits, uint32_t epoch) {
  pc_ = 0;
  sp_ = start.sp;
  uses_rbp_ = false;
  uint32_t count = WalkFrom(start, limits, epoch);
  if (count == kNotKept) return;
  for (; count % kAtOnce != 0; ++count) {
    Words& last = words_[count / kAtOnce];
    last.above[count % kAtOnce] = last.above[count % kAtOnce - 1];
    last.value[count % kAtOnce] = last.value[count % kAtOnce - 1];
  }
  used_ = static_cast<uint16_t>(count / kAtOnce);
  rbp_ = start.rbp;
  epoch_ = epoch;
  pc_ = start.pc;
}

}  // namespace leakhunt::unwind
