// The general step behind frame_step.h: rows, packed rules and bare frame pointers over a full set of registers.
#include "preload/unwind/frame_step.h"

#include "preload/unwind/expression.h"
#include "preload/unwind/module_map.h"
#include "preload/unwind/packed_rule.h"
#include "preload/unwind/rule_source.h"

namespace leakhunt::unwind {
namespace {

constexpr uint64_t kRedZoneBytes = 128;  // a leaf may keep values below its stack pointer
constexpr uint32_t kReturn = X86_64::kReturn, kSp = X86_64::kStackPointer, kFp = X86_64::kFramePointer;

class Stepper {
 public:
  explicit Stepper(const Frame& from) : from_(from), to_(from) {}

  Step ByRow(const Row<X86_64>& row) {
    uint64_t cfa = 0;
    if (!Cfa(row, &cfa)) return result_;
    to_.state.known = 0;
    for (uint32_t slot = 0; slot < X86_64::kTracked; ++slot) {
      if (slot != row.return_slot && !Restore(row, slot, cfa)) return result_;
    }
    if (row.registers[kSp].where == Where::kSame) to_.state.Set(kSp, cfa);
    uint64_t back = 0;
    if (!Value(row, row.registers[row.return_slot], row.return_slot, cfa, &back)) {
      return result_ == Step::kStepped ? Step::kUnsupported : result_;
    }
    to_.state.Set(kReturn, X86_64::StripReturn(back, row.return_signed));
    return row.signal_frame ? Interrupted() : Called();
  }

  Step BySimpleRule(uint64_t rule) {
    uint32_t base = (rule & kRuleKindMask) == kRuleStack ? kSp : kFp;
    if (!from_.state.Knows(base)) return Step::kNeedsRegister;
    uint64_t cfa = from_.state.value[base] + CfaOffset(rule);
    to_.state.known &= X86_64::kCalleeSaved;
    uint64_t value = 0;
    for (uint32_t i = 0; i < kPackedSaved; ++i) {
      uint64_t distance = SavedDistance(rule, i);
      if (distance == 8) continue;
      if (!Load(cfa - distance, &value)) return Step::kBadFrame;
      to_.state.Set(kPackedRegisters[i], value);
    }
    if (!Load(cfa - 8, &value)) return Step::kBadFrame;
    to_.state.Set(kReturn, value);
    to_.state.Set(kSp, cfa);
    return Called();
  }

  // No CFI: code of a JIT, or of a module (assembler, musl). Believed only as far as it looks like a frame.
  Step ByFramePointer(bool in_module) {
    if (!from_.state.Knows(kFp)) return Step::kNoRule;
    uint64_t fp = from_.state.value[kFp], next = 0, back = 0;
    if (fp == 0 && !in_module) return Step::kBottom;  // the ABI's mark of the outermost frame
    if ((fp & 7) || fp < from_.sp() || !Load(fp, &next) || !Load(fp + 8, &back)) return Step::kNoRule;
    if (back >= from_.limits.low && back < from_.limits.high) return Step::kNoRule;
    if (back >= kPcLimit || (back < kLowestPc && next != 0)) return Step::kNoRule;
    // Code of a module may have been compiled without a frame pointer and have anything in rbp: the caller has to be
    // known code, or (a JIT's, calling its runtime) have a frame of its own.
    UnwindSections sections;
    bool framed = (next & 7) == 0 && next > fp && next < from_.limits.high;
    if (in_module && back >= kLowestPc && !framed && FindModule(back - 1, &sections) != ModuleLookup::kFound) {
      return Step::kNoRule;
    }
    to_.state.known &= X86_64::kCalleeSaved;
    to_.state.Set(kFp, next);
    to_.state.Set(kSp, fp + 16);
    to_.state.Set(kReturn, back);
    to_.by_frame_pointer = true;
    return Called();
  }

  const Frame& to() const { return to_; }

 private:
  bool Load(uint64_t address, uint64_t* value) {
    if (address < from_.limits.low || address > from_.limits.high - 8) return false;
    __builtin_memcpy(value, reinterpret_cast<const void*>(address), 8);
    return true;
  }

  bool Fail(Step why) {
    result_ = why;
    return false;
  }

  bool Evaluate(const Row<X86_64>& row, const RegisterRule& rule, bool push_cfa, uint64_t cfa, uint64_t* value) {
    uint64_t code = row.expressions + static_cast<uint32_t>(rule.offset);
    switch (EvaluateExpression(code, rule.expression_bytes, from_.state, from_.limits, push_cfa, cfa, value)) {
      case Evaluation::kDone: return true;
      case Evaluation::kNeedsRegister: return Fail(Step::kNeedsRegister);
      default: return Fail(Step::kUnsupported);
    }
  }

  bool Cfa(const Row<X86_64>& row, uint64_t* cfa) {
    if (row.cfa.where == Where::kExpression) return Evaluate(row, row.cfa, false, 0, cfa);
    if (row.cfa.where != Where::kCfaPlus) return Fail(Step::kUnsupported);
    if (!from_.state.Knows(row.cfa.other)) return Fail(Step::kNeedsRegister);
    *cfa = from_.state.value[row.cfa.other] + static_cast<uint64_t>(int64_t{row.cfa.offset});
    return true;
  }

  // The caller's value of a register. False with result_ kStepped: it is lost, or not known.
  bool Value(const Row<X86_64>& row, const RegisterRule& rule, uint32_t slot, uint64_t cfa, uint64_t* value) {
    uint64_t at = cfa + static_cast<uint64_t>(int64_t{rule.offset});
    switch (rule.where) {
      case Where::kUndefined: return false;
      case Where::kSame:
        *value = from_.state.value[slot];
        return from_.state.Knows(slot) && (row.signal_frame || (X86_64::kCalleeSaved >> slot & 1));
      case Where::kAtCfa: return Load(at, value) || Fail(Step::kBadFrame);
      case Where::kCfaPlus: *value = at; return true;
      case Where::kRegister:
        *value = from_.state.value[rule.other];
        return from_.state.Knows(rule.other) || Lost(slot);
      case Where::kAtExpression: {
        uint64_t address = 0;
        return Evaluate(row, rule, true, cfa, &address) && (Load(address, value) || Fail(Step::kBadFrame));
      }
      default: return Evaluate(row, rule, true, cfa, value);
    }
  }

  // In a register that this walk does not keep: matters only where the walk cannot go on without it.
  bool Lost(uint32_t slot) {
    return slot == kFp || slot == kSp || slot == kReturn ? Fail(Step::kNeedsRegister) : false;
  }

  bool Restore(const Row<X86_64>& row, uint32_t slot, uint64_t cfa) {
    uint64_t value = 0;
    if (Value(row, row.registers[slot], slot, cfa, &value)) to_.state.Set(slot, value);
    return result_ == Step::kStepped;
  }

  Step Called() {
    uint64_t sp = to_.sp();
    if (sp <= from_.sp() || sp > from_.limits.high || (sp & 7)) return Step::kBadFrame;
    to_.exact_pc = false;
    return CheckPc();
  }

  // The interrupted code may have been on another stack (sigaltstack), and anywhere in it.
  Step Interrupted() {
    uint64_t sp = to_.sp();
    if (sp <= from_.sp() || sp >= from_.limits.high) {
      if (from_.switched_stack || !FindStackLimits(sp, &to_.limits)) return Step::kBadFrame;
      if (sp < to_.limits.low || sp >= to_.limits.high) return Step::kBadFrame;
      to_.switched_stack = true;
      to_.limits.low = sp - to_.limits.low < kRedZoneBytes ? to_.limits.low : sp - kRedZoneBytes;
    }
    to_.exact_pc = true;
    return CheckPc();
  }

  Step CheckPc() {
    if (to_.pc() < kLowestPc) return Step::kBottom;
    return to_.pc() < kPcLimit ? Step::kStepped : Step::kBadFrame;
  }

  const Frame& from_;
  Frame to_;
  Step result_ = Step::kStepped;
};

Step OfTerminal(Terminal why) { return why == Terminal::kBottom ? Step::kBottom : Step::kUnsupported; }

}  // namespace

Step StepFrame(const RuleTable& table, Frame* frame) {
  frame->by_frame_pointer = false;
  Row<X86_64> scratch;
  uint64_t rule = RuleFor(table, frame->lookup(), &scratch);
  Stepper stepper(*frame);
  Step step;
  if (rule == 0 || rule == PackTerminal(Terminal::kNoCfi)) {
    step = stepper.ByFramePointer(rule != 0);
  } else if ((rule & kRuleKindMask) == kRuleTerminal) {
    step = OfTerminal(TerminalOf(rule));
  } else if ((rule & kRuleKindMask) == kRuleRow) {
    step = stepper.ByRow(*RowOf(rule));
  } else {
    step = stepper.BySimpleRule(rule);
  }
  if (step == Step::kStepped) *frame = stepper.to();
  return step;
}

}  // namespace leakhunt::unwind
