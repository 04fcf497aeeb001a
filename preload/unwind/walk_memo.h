// One walk, kept by the words it read: where they are all the same, a walk from the same registers finds the same stack.
//
// For code that is reached the same way again and again, as a server's open and accept are: a few comparisons in some few
// cache lines, where a walk, known or not, goes through its own tables. In a server that enters the kernel between any two
// of our calls, those tables are in no near cache.
//
// Sound without any assumption about what the program did in between. What a walk reads is decided by its registers, the rules
// of the loaded objects (the epoch) and what it has read before. The words are compared in the order they were read, so as
// long as they are equal, the next one is what a walk would read next: nothing is read that a walk would not read. A
// frame pointer is compared only where a rule made use of it. Nothing is written to the program's stack.
//
// Owned by one thread, used by it alone and not by a signal handler that interrupts the use. Zeroed memory is an empty one.
#pragma once

#include <cstdint>

#include "preload/unwind/unwinder.h"

namespace leakhunt::unwind {

class WalkMemo {
 public:
  static constexpr uint32_t kMostWords = 40;  // a walk that read more is not kept

  // A walk from `start` finds, at `epoch`, the stack that the kept walk found.
  [[gnu::always_inline]] bool Holds(const CallerRegisters& start, uint32_t epoch) const {
    if (__builtin_expect(start.pc != pc_ || start.sp != sp_ || epoch != epoch_, 0)) return false;
    if (uses_rbp_ && start.rbp != rbp_) return false;
    const auto* const stack = reinterpret_cast<const uint64_t*>(start.sp);
    const auto differs = [stack](const Words& words, uint32_t i) { return stack[words.above[i]] != words.value[i]; };
    for (const Words* words = words_; words != words_ + used_; ++words) {
      if (__builtin_expect(differs(*words, 0) || differs(*words, 1) || differs(*words, 2) || differs(*words, 3), 0)) return false;
    }
    return true;
  }

  // Walks from `start` and keeps that, if each frame has a simple rule, the outermost one is reached, and it reads few
  // enough words, none of them half a megabyte away; else nothing is kept. start.sp lies in `limits`.
  void Keep(const Registers& start, const StackLimits& limits, uint32_t epoch);
  void Forget() { pc_ = 0; }

 private:
  static constexpr uint32_t kAtOnce = 4;
  static_assert(kMostWords % kAtOnce == 0);
  struct Words {
    uint16_t above[kAtOnce];  // where a word was read, in words from sp
    uint64_t value[kAtOnce];
  };

  // The `count`th word.
  bool Put(uint32_t count, uint64_t at, uint64_t value);
  // The number of words; kNotKept: nothing is kept.
  uint32_t WalkFrom(const Registers& start, const StackLimits& limits, uint32_t epoch);
  static constexpr uint32_t kNotKept = ~0u;

  uint64_t pc_, sp_, rbp_;  // pc 0: nothing is kept
  uint32_t epoch_;
  uint16_t used_;           // of `words_`; the last word is repeated to fill them
  bool uses_rbp_;
  Words words_[kMostWords / kAtOnce];
};

}  // namespace leakhunt::unwind
