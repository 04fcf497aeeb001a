// The rule that a path node keeps, decoded, so that a known frame asks nobody and computes little.
#pragma once

#include <cstdint>

namespace leakhunt::unwind {

enum class PathKind : uint8_t {
  kStack,         // CFA = sp + offset, with rbp saved between the two if at all: only the upper limit can be missed
  kStackFar,      // CFA = sp + offset, rbp saved elsewhere: every check
  kFramePointer,  // CFA = rbp + offset: every check
  kGenerated,     // in no loaded object (a JIT's code): by the frame pointer, as far as it looks like a frame
  kBare,          // in an object, without CFI: the same, and the caller has to have a frame of its own
  kAskAgain,      // not a simple rule, or one that is not known for good: the step is made the general way each time
  kBottom,        // the outermost frame
};

struct PathRule {
  uint16_t cfa_words;         // the offset to the CFA / 8
  uint8_t saved_words : 7;    // rbp was saved at CFA - 8 * this; 1 = unchanged (the return address is there)
  uint8_t straight : 1;       // kStack, and the likely caller is the next node, with its place in this one's run
  PathKind kind;
};

// Of frame `word` (pc with kExactPc).
PathRule PathRuleOf(uint64_t word, uint32_t epoch);

}  // namespace leakhunt::unwind
