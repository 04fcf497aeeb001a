// The last walk of a thread, for stacks that its path cache does not hold: where a walk comes to a frame of the last one
// (same pc, same stack pointer, same frame pointer), the frames outside it are compared instead of walked.
//
// Sound without any assumption about what the program did in between: a frame's caller depends on its pc, its stack pointer,
// its frame pointer and the two words that the step reads, the return address and the saved frame pointer. All are compared.
// Steps that depend on more (expressions, signal frames) are made again each time. Nothing is written to the program's stack.
//
// Owned by one thread, as the path cache it belongs to.
#pragma once

#include <cstdint>

#include "preload/unwind/quick_step.h"

namespace leakhunt::unwind {

class TailMemo {
 public:
  static constexpr uint32_t kMostFrames = 128;

  // Where WalkOn begins; lives here rather than on the program's stack.
  void SetStart(const Cursor& from) { general_.cursor = from; }

  enum class Way : uint8_t { kWalked, kGeneral, kAllRegisters };

  // As WalkOn of quick_step.h, with the same result, from the cursor of SetStart. `max_frames` is at most kMostFrames.
  // kGeneral: a general step is due, `deep` was not said, and nothing was done: to be called again on a stack that has room.
  Way WalkOn(uint32_t epoch, uint64_t* pcs, uint32_t max_frames, WalkResult* result, bool deep);

 private:
  struct Frame {
    uint64_t word;   // pc with kExactPc
    uint64_t sp, rbp;
    uint64_t saved;  // where rbp was read by the step that led here; 0 = unchanged; kOther: the step read other things, too
  };
  static constexpr uint64_t kOther = ~uint64_t{0};

  struct Side {
    uint32_t frames;
    Frame at[kMostFrames];
  };

  static bool Same(const Frame& frame, const Cursor& cursor);
  // The last of the frames from `first` on that are as they were.
  static uint32_t Verify(const Side& last, uint32_t first, uint64_t low, uint64_t high);

  uint32_t current_, epoch_;
  GeneralStep general_;  // of the walk under way; before it, where it begins
  Side sides_[2];
};

}  // namespace leakhunt::unwind
