// The quick step: three registers, one word of rule, no call. Header-only: it is the inside of two loops.
#pragma once

#include <cstdint>

#include "preload/unwind/frame_step.h"
#include "preload/unwind/packed_rule.h"

namespace leakhunt::unwind {

inline constexpr uint64_t kExactPc = uint64_t{1} << 63;  // protocol::kFrameExactPc

// The registers that lead from frame to frame nearly everywhere.
struct Cursor {
  uint64_t pc, sp, rbp;
  uint64_t exact;       // 1 = pc is exact, 0 = a return address
  uint64_t saved_slot;  // of the last step: where the caller's rbp was read; 0 = it was still in the register
  uint64_t low, high;   // memory that may be read
  const RuleEntry* at = &kNoEntry;     // the entry of the last step, if that was a quick one
  const RuleEntry* hint = &kNoEntry;   // the entry this step probably wants

  uint64_t Word() const { return pc | exact << 63; }
};

enum class Quick : uint8_t { kStepped, kBottom, kBadFrame, kGeneral };

// kGeneral: the rule is not a simple one; `cursor` is unchanged and StepFrame has to take over.
[[gnu::always_inline]] inline Quick QuickStep(const RuleTable& table, Cursor* cursor) {
  uint64_t lookup = cursor->pc - 1 + cursor->exact;
  const RuleEntry* entry = cursor->hint;
  uint64_t rule = sys::LoadRelaxed(&entry->rule);
  if (!Holds(entry, RuleKey(table, lookup), rule)) {
    // A frame with several callers. Nearly always the first place of its line has it.
    entry = FirstPlace(table, lookup);
    rule = sys::LoadRelaxed(&entry->rule);
    if (__builtin_expect(!Holds(entry, RuleKey(table, lookup), rule), 0)) {
      FoundRule found = FindRule(table, lookup);
      if (found.entry == nullptr) return Quick::kGeneral;
      entry = found.entry;
      rule = found.rule;
    }
    CorrectHint(cursor->at, entry);
  }
  if (__builtin_expect(rule & kRuleNotSimple, 0)) {
    return rule == PackTerminal(Terminal::kBottom) ? Quick::kBottom : Quick::kGeneral;
  }
  cursor->at = entry;
  cursor->hint = sys::LoadRelaxed(&entry->next);
  uint64_t cfa = (rule & kRuleFramePointer ? cursor->rbp : cursor->sp) + CfaOffset(rule);
  // sp < cfa <= high
  if (__builtin_expect((cfa - cursor->sp - 1 >= cursor->high - cursor->sp) | (cfa & 7), 0)) return Quick::kBadFrame;
  uint64_t distance = SavedDistance(rule, 0);
  uint64_t slot = cfa - distance;
  if (__builtin_expect(slot < cursor->low, 0)) return Quick::kBadFrame;
  uint64_t saved = *reinterpret_cast<const uint64_t*>(slot);
  cursor->saved_slot = distance == 8 ? 0 : slot;
  cursor->rbp = distance == 8 ? cursor->rbp : saved;
  cursor->pc = *reinterpret_cast<const uint64_t*>(cfa - 8);
  cursor->sp = cfa;
  cursor->exact = 0;
  if (__builtin_expect(cursor->pc - kLowestPc >= kPcLimit - kLowestPc, 0)) {
    return cursor->pc < kLowestPc ? Quick::kBottom : Quick::kBadFrame;
  }
  return Quick::kStepped;
}

// A general step from a cursor, and how it went.
struct GeneralStep {
  Step step;
  bool by_frame_pointer;
  bool switched_stack;
  Cursor cursor;  // from where; with kStepped: where it led
};

// One step by StepFrame, on a stack of leakhunt's own. With kNeedsRegister the walk has to be made again with all registers.
// `general` holds a copy of the caller's cursor, so that the caller's own stays in registers.
void StepGeneral(const RuleTable& table, GeneralStep* general);

// Goes on with a walk whose first result->frames are in pcs and whose next frame is the cursor's. False: to be made
// again with all registers.
bool WalkOn(const RuleTable& table, Cursor cursor, uint64_t* pcs, uint32_t max_frames, WalkResult* result);

// The walk with all registers, from `start`, on a stack of leakhunt's own.
WalkResult WalkWithAllRegisters(const Registers& start, const StackLimits& limits, uint64_t* pcs, uint32_t max_frames);

// Adds to WalkCounters.frame_pointer_steps.
void CountFramePointerSteps(uint64_t steps);

// Counts the end of a walk and gives it its public name.
StopReason StopOf(Step step);

// A cursor at `start`. False: sp is outside `limits`.
[[gnu::always_inline]] inline bool StartAt(const Registers& start, const StackLimits& limits, Cursor* cursor) {
  *cursor = {start.pc & ~kExactPc, start.sp, start.rbp, start.pc >> 63, 0, start.sp, limits.high};
  return start.sp >= limits.low && start.sp < limits.high && (start.sp & 7) == 0;
}

}  // namespace leakhunt::unwind
