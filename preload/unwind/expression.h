// Evaluates the DWARF expressions that occur in call frame information: PLT stubs, realigned frames, signal frames.
//
// Bounded in steps, in stack depth and in the memory it may read. Runs wherever a walk runs.
#pragma once

#include <cstdint>

#include "preload/unwind/registers.h"

namespace leakhunt::unwind {

enum class Evaluation : uint8_t {
  kDone,
  kNeedsRegister,  // a register whose value is not known
  kRefused,        // an operation outside the supported set, a read outside `readable`, or a malformed expression
};

// Evaluates `bytes` bytes at `code` with `initial` on the stack when `push_initial` (register rules start with the
// CFA). Reads memory inside `readable` only. `result` is set with kDone.
template <typename Arch>
Evaluation EvaluateExpression(uint64_t code, uint32_t bytes, const MachineState<Arch>& state,
                              const StackLimits& readable, bool push_initial, uint64_t initial, uint64_t* result);

}  // namespace leakhunt::unwind
