// One row of call frame information: how to get from a pc to its caller.
//
// A row is what a CFI program (DWARF 5, section 6.4) leaves when it is run up to a pc. Small on purpose: it is built on
// the program's own stack, in signal handlers and coroutines too.
#pragma once

#include <cstdint>

#include "preload/unwind/frame_description.h"
#include "preload/unwind/registers.h"

namespace leakhunt::unwind {

enum class Where : uint8_t {
  kSame,           // the caller's value is still in the register
  kUndefined,      // lost; of the return address: this is the outermost frame
  kAtCfa,          // in memory at CFA + offset
  kCfaPlus,        // is CFA + offset
  kRegister,       // is in register `other`
  kAtExpression,   // in memory at the address the expression gives
  kExpression,     // is what the expression gives
};

struct RegisterRule {
  Where where = Where::kSame;
  uint8_t other = 0;
  uint16_t expression_bytes = 0;
  int32_t offset = 0;  // bytes; of an expression: from Row::expressions
};
static_assert(sizeof(RegisterRule) == 8);

template <typename Arch>
struct Row {
  uint64_t expressions = 0;       // address that expression offsets count from
  RegisterRule cfa;               // kCfaPlus: register `other` + offset; or kExpression; kUndefined: none given
  RegisterRule registers[Arch::kTracked];
  uint8_t return_slot = Arch::kReturn;
  bool signal_frame = false;      // the caller was interrupted: its pc is exact, all its registers are restored
  bool return_signed = false;     // aarch64 pointer authentication
};

enum class RowError : uint8_t { kNone, kUnsupported };

// Runs the programs of `description` up to `pc`.
template <typename Arch>
RowError BuildRow(const FrameDescription& description, uint64_t pc, Row<Arch>* row);

}  // namespace leakhunt::unwind
