// One step of a walk, the general kind: any rule, any register, every check. The quick kind is in walker.cc.
#pragma once

#include <cstdint>

#include "preload/unwind/cfi_row.h"
#include "preload/unwind/rule_cache.h"

namespace leakhunt::unwind {

enum class Step : uint8_t {
  kStepped,
  kBottom,
  kNoRule,
  kBadFrame,
  kUnsupported,
  kNeedsRegister,  // the rule asks for a register the walk did not keep
};

using ProgramState = MachineState<X86_64>;

// Where a general walk is. `state` holds pc (16), sp (7) and what else is known.
struct Frame {
  ProgramState state;
  StackLimits limits;
  bool exact_pc = false;        // pc itself, not a return address
  bool switched_stack = false;  // a signal frame led to another stack; `limits` are that stack's
  bool by_frame_pointer = false;  // the last step had no CFI

  uint64_t pc() const { return state.value[X86_64::kReturn]; }
  uint64_t sp() const { return state.value[X86_64::kStackPointer]; }
  uint64_t lookup() const { return pc() - (exact_pc ? 0 : 1); }
};

inline constexpr uint64_t kLowestPc = 4096;                 // below: no code, the mark of an outermost frame
inline constexpr uint64_t kPcLimit = uint64_t{1} << 47;

// From a frame to its caller. On any other result than kStepped `frame` is unchanged.
Step StepFrame(const RuleTable& table, Frame* frame);

}  // namespace leakhunt::unwind
