// What a processor's calling convention means to the unwinder: register numbers of DWARF, which registers a callee
// keeps, where return addresses live. One struct an architecture; the decoder of CFI programs is written against it.
#pragma once

#include <cstdint>

#include "preload/unwind/unwinder.h"

namespace leakhunt::unwind {

struct X86_64 {
  static constexpr uint32_t kTracked = 17;  // DWARF 0-15 general registers, 16 the return address
  static constexpr uint32_t kReturn = 16;
  static constexpr uint32_t kStackPointer = 7;
  static constexpr uint32_t kFramePointer = 6;
  static constexpr uint32_t kCalleeSaved = (1u << 3) | (1u << 6) | (1u << 12) | (1u << 13) | (1u << 14) | (1u << 15);
  // The vendor opcode 0x2D toggles "return address is signed" on aarch64 and means nothing here.
  static constexpr bool kSignsReturn = false;
  static constexpr int Slot(uint64_t dwarf_register) {
    return dwarf_register < kTracked ? static_cast<int>(dwarf_register) : -1;
  }
  static constexpr uint64_t StripReturn(uint64_t pc, bool) { return pc; }
};

struct Aarch64 {
  static constexpr uint32_t kTracked = 32;  // DWARF 0-30 x0-x30, 31 sp
  static constexpr uint32_t kReturn = 30;   // the link register; a leaf never saves it
  static constexpr uint32_t kStackPointer = 31;
  static constexpr uint32_t kFramePointer = 29;
  static constexpr uint32_t kCalleeSaved = 0x7FF8'0000;  // x19-x30
  static constexpr bool kSignsReturn = true;
  static constexpr int Slot(uint64_t dwarf_register) {  // 32 pc, 33 ELR, 34 RA_SIGN_STATE, 64-95 vectors: not kept
    return dwarf_register < kTracked ? static_cast<int>(dwarf_register) : -1;
  }
  // A signed return address carries its code in the bits above the 48 of a user address (TBI off, 4-level tables).
  static constexpr uint64_t StripReturn(uint64_t pc, bool is_signed) {
    return is_signed ? pc & 0x0000'FFFF'FFFF'FFFF : pc;
  }
};

// A machine state by DWARF number, with a mask of those that are known.
template <typename Arch>
struct MachineState {
  uint64_t value[Arch::kTracked] = {};
  uint32_t known = 0;

  bool Knows(uint32_t slot) const { return slot < Arch::kTracked && (known >> slot & 1); }
  void Set(uint32_t slot, uint64_t v) {
    value[slot] = v;
    known |= 1u << slot;
  }
};

}  // namespace leakhunt::unwind
