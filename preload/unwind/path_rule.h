// The rule that a path node keeps, decoded, so that a known frame asks nobody and computes little.
#pragma once

#include <cstdint>

namespace leakhunt::unwind {

enum class PathKind : uint8_t {
  kStack,         // CFA = sp + offset, with rbp saved between the two if at all: only the upper limit can be missed
  kStackFar,      // CFA = sp + offset, rbp saved elsewhere: every check
  kFramePointer,  // CFA = rbp + offset: every check
  kGenerated,     // in no loaded object (a JIT's code): by the frame pointer, as far as it looks like a frame
  kAskAgain,      // not a simple rule, or one that is not known for good: the step is made the general way each time
  kBottom,        // the outermost frame
};

struct PathRule {
  uint32_t cfa_offset;
  uint16_t saved_distance;  // rbp was saved at CFA - this; 8 = unchanged (the return address is there)
  PathKind kind;
};

// Of frame `word` (pc with kExactPc).
PathRule PathRuleOf(uint64_t word, uint32_t epoch);

}  // namespace leakhunt::unwind
