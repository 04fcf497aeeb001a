// A row of call frame information in one word, for the frames that nearly all frames are: the CFA is the stack or the
// frame pointer plus a constant, the return address lies just below it, saved registers a little further down.
//
//   bits 0-1   kind: 0 CFA = sp + offset, 1 CFA = rbp + offset, 2 pointer to a stored Row (bits 8-63), 3 no caller
//   bits 2-43  for rbp, rbx, r12, r13, r14, r15: seven bits n each, value at CFA - 8n; 1 = unchanged
//   bits 44-63 offset / 8
//
// "Unchanged" is 1, the slot of the return address: it can be loaded without a branch and the result thrown away.
#pragma once

#include <cstdint>

#include "preload/unwind/cfi_row.h"

namespace leakhunt::unwind {

enum RuleKind : uint64_t { kRuleStack = 0, kRuleFramePointer = 1, kRuleRow = 2, kRuleTerminal = 3 };
inline constexpr uint64_t kRuleKindMask = 3;
inline constexpr uint64_t kRuleNotSimple = 2;

// With kRuleTerminal, in bits 8-15.
enum class Terminal : uint8_t {
  kBottom,       // the return address is undefined: outermost frame
  kUnsupported,  // CFI outside the supported set
  kNoCfi,        // in a module, without CFI: the frame pointer is all there is
};

inline constexpr uint32_t kPackedSaved = 6;
inline constexpr uint8_t kPackedRegisters[kPackedSaved] = {6, 3, 12, 13, 14, 15};  // DWARF numbers

constexpr uint64_t PackTerminal(Terminal why) { return kRuleTerminal | static_cast<uint64_t>(why) << 8; }
constexpr Terminal TerminalOf(uint64_t rule) { return static_cast<Terminal>(rule >> 8 & 0xFF); }

inline uint64_t PackRow(const Row<X86_64>* row) { return kRuleRow | reinterpret_cast<uint64_t>(row) << 8; }
inline const Row<X86_64>* RowOf(uint64_t rule) { return reinterpret_cast<const Row<X86_64>*>(rule >> 8); }

// Bytes from the register's slot up to the CFA; 8 = unchanged.
constexpr uint64_t SavedDistance(uint64_t rule, uint32_t index) { return (rule >> (2 + 7 * index) & 0x7F) * 8; }
constexpr uint64_t CfaOffset(uint64_t rule) { return rule >> 44 << 3; }

// False when the row does not fit one word.
constexpr bool PackSimple(const Row<X86_64>& row, uint64_t* rule) {
  const RegisterRule& cfa = row.cfa;
  if (row.signal_frame || cfa.where != Where::kCfaPlus) return false;
  if (cfa.other != X86_64::kStackPointer && cfa.other != X86_64::kFramePointer) return false;
  if (cfa.offset < 8 || (cfa.offset & 7) || cfa.offset >= (8 << 20)) return false;
  const RegisterRule& back = row.registers[row.return_slot];
  if (back.where != Where::kAtCfa || back.offset != -8) return false;
  // A register that is said to be the stack pointer's source would change what sp becomes: CFA is the rule here.
  if (row.registers[X86_64::kStackPointer].where != Where::kSame) return false;
  uint64_t word = cfa.other == X86_64::kStackPointer ? kRuleStack : kRuleFramePointer;
  for (uint32_t i = 0; i < kPackedSaved; ++i) {
    const RegisterRule& saved = row.registers[kPackedRegisters[i]];
    uint64_t slot = 1;
    if (saved.where == Where::kAtCfa) {
      if (saved.offset > -16 || (saved.offset & 7) || saved.offset < -8 * 127) return false;
      slot = static_cast<uint64_t>(-saved.offset / 8);
    } else if (saved.where != Where::kSame && saved.where != Where::kUndefined) {
      return false;
    }
    word |= slot << (2 + 7 * i);
  }
  *rule = word | static_cast<uint64_t>(cfa.offset / 8) << 44;
  return true;
}

}  // namespace leakhunt::unwind
