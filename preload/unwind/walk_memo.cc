// Exact mode's walk: the outer frames of a thread are mostly those of its last walk, so they are checked, not walked.
//
// The memo keeps the frames of the last walk, outermost first, so that the common tail stays where it is. Soundness:
// a simple step is a pure function of (pc, sp, rbp) and of two words of the stack, the return address just below the
// next frame's sp and the slot rbp was read from. If frame k is as remembered and both words hold what they held, frame
// k-1 is as remembered. Other steps (signal frames, expressions, the outermost frame's refusal to go on) are made
// again.
//
//   kept[0] outermost … kept[j] (met by the new walk) … kept[count-1] innermost of the last walk
//   new:    inner frames are walked and put on `fresh` until one equals a kept frame; then kept[j..0] are verified.
#include "preload/sys/memory.h"
#include "preload/unwind/module_map.h"
#include "preload/unwind/quick_step.h"

namespace leakhunt::unwind {
namespace {

// How the frame's caller was found.
enum Link : uint64_t {
  kLinkSameRbp = 0,   // simple step, rbp was still in the register
  kLinkStepAgain = 1, // not a simple step
  // else: simple step, the address rbp was read from
};

struct KeptFrame {
  uint64_t word;  // pc with kExactPc
  uint64_t sp, rbp;
  uint64_t link;
};

constexpr uint32_t kCapacity = 250;

struct Memo {
  uint64_t low, high;    // limits of the stack the frames lie on
  uint32_t epoch;
  uint32_t count;        // used entries of `kept`; 0 = nothing remembered
  uint32_t last_outer;   // index in `kept` of the outermost frame of the last result
  uint32_t fresh_count;
  KeptFrame kept[kCapacity];
  KeptFrame fresh[kCapacity];
};
static_assert(sizeof(Memo) <= sizeof(WalkMemo));

class MemoWalk {
 public:
  MemoWalk(const RuleTable& table, Memo* memo, uint64_t* pcs, uint32_t max_frames)
      : table_(table),
        memo_(*memo),
        pcs_(pcs),
        max_frames_(max_frames),
        below_(static_cast<int32_t>(memo->count) - 1) {}

  // False: to be walked again with all registers.
  bool Run(Cursor cursor, WalkResult* result, uint32_t* reused) {
    cursor_ = cursor;
    memo_.fresh_count = 0;
    while (!done_) {
      if (Meets()) {
        Verify();
      } else {
        WalkOne();
      }
    }
    if (abandoned_) return false;
    *reused = Keep();
    *result = {n_, stop_};
    return true;
  }

 private:
  // Is the cursor's frame the kept frame at `below_`? Kept frames further in than the cursor are passed over.
  bool Meets() {
    while (below_ >= 0 && memo_.kept[below_].sp < cursor_.sp) --below_;
    if (below_ < 0 || !memoizing_) return false;
    const KeptFrame& frame = memo_.kept[below_];
    return frame.sp == cursor_.sp && frame.word == cursor_.Word() && frame.rbp == cursor_.rbp;
  }

  void Emit(uint64_t word) { pcs_[n_++] = word; }

  void Finish(StopReason stop) {
    stop_ = stop;
    done_ = true;
  }

  // Emits the cursor's frame, goes to its caller, and puts the frame on `fresh`.
  void WalkOne() {
    KeptFrame frame{cursor_.Word(), cursor_.sp, cursor_.rbp, kLinkStepAgain};
    Emit(frame.word);
    bool stepped = StepCursor(&frame.link);
    if (abandoned_) return;
    if (memoizing_) memo_.fresh[memo_.fresh_count++] = frame;
    if (stepped && n_ == max_frames_) Finish(StopReason::kDepth);
  }

  // One step of any kind. False: the walk has ended, or is abandoned.
  bool StepCursor(uint64_t* link) {
    uint64_t sp = cursor_.sp;
    Quick quick = QuickStep(table_, &cursor_);
    bool simple = quick == Quick::kStepped;
    if (__builtin_expect(!simple, 0)) {
      if (quick == Quick::kBottom) return Finish(StopReason::kBottom), false;
      if (quick == Quick::kBadFrame) return Finish(StopOf(Step::kBadFrame)), false;
      GeneralStep general = StepGeneral(table_, cursor_);
      if (general.step == Step::kNeedsRegister) return done_ = abandoned_ = true, false;
      if (general.step != Step::kStepped) return Finish(StopOf(general.step)), false;
      cursor_ = general.cursor;
      if (general.switched_stack) LeaveStack();
      simple = general.by_frame_pointer;
    }
    // A slot below the frame itself (never seen in sane code) may lie below a later walk's start.
    if (simple && (cursor_.saved_slot == 0 || cursor_.saved_slot >= sp)) *link = cursor_.saved_slot;
    return true;
  }

  // A signal frame led to another stack: the rest of this walk is not remembered, nor is what was.
  void LeaveStack() {
    memoizing_ = false;
    memo_.count = memo_.fresh_count = 0;
    below_ = -1;
  }

  // From a met frame outwards as long as everything is as it was. Ends the walk, or leaves the cursor on the last frame
  // that could be verified, with the frames before it on `fresh`.
  void Verify() {
    int32_t met = below_, k = below_;
    const KeptFrame* kept = memo_.kept;
    uint32_t n = n_;
    pcs_[n++] = kept[k].word;
    for (; k > 0; --k, pcs_[n++] = kept[k].word) {
      const KeptFrame& next = kept[k - 1];
      uint64_t link = kept[k].link;
      if (__builtin_expect(link == kLinkStepAgain, 0)) {
        if (!StepsTo(kept[k], next)) break;
      } else {
        // Without a branch on the link: on stacks that change it would be mispredicted at every other frame.
        const uint64_t* saved = link == kLinkSameRbp ? &next.rbp : reinterpret_cast<const uint64_t*>(link);
        if ((*saved ^ next.rbp) | (*reinterpret_cast<const uint64_t*>(next.sp - 8) ^ next.word)) break;
      }
      if (n == max_frames_) {
        n_ = n;
        return Reuse(met, k, StopReason::kDepth);
      }
    }
    // kept[k] is true, and what follows it is not known: it is the outermost, or its caller changed.
    n_ = n;
    At(kept[k]);
    uint64_t link = kLinkStepAgain;
    if (!StepCursor(&link)) {
      if (!abandoned_) Reuse(met, k, stop_);
      return;
    }
    if (n_ == max_frames_) return memoizing_ ? Reuse(met, k, StopReason::kDepth) : Finish(StopReason::kDepth);
    if (!memoizing_) return;
    for (int32_t i = met; i > k; --i) memo_.fresh[memo_.fresh_count++] = kept[i];
    memo_.fresh[memo_.fresh_count] = kept[k];
    memo_.fresh[memo_.fresh_count++].link = link;
    below_ = k - 1;
  }

  void At(const KeptFrame& frame) {
    cursor_.pc = frame.word & ~kExactPc;
    cursor_.exact = frame.word >> 63;
    cursor_.sp = frame.sp;
    cursor_.rbp = frame.rbp;
  }

  // Makes the step from `frame` again: does it lead to `next`? Leaves the walk as it was.
  bool StepsTo(const KeptFrame& frame, const KeptFrame& next) {
    Cursor saved = cursor_;
    At(frame);
    cursor_.low = saved.low;
    bool same = QuickStep(table_, &cursor_) == Quick::kStepped;
    if (!same) {
      At(frame);
      GeneralStep general = StepGeneral(table_, cursor_);
      same = general.step == Step::kStepped && !general.switched_stack;
      cursor_ = general.cursor;
    }
    same = same && cursor_.Word() == next.word && cursor_.sp == next.sp && cursor_.rbp == next.rbp;
    cursor_ = saved;
    return same;
  }

  // The walk ends inside the kept frames: [outermost, met] stay.
  void Reuse(int32_t met, int32_t outermost, StopReason stop) {
    reused_top_ = met;
    reused_outer_ = outermost;
    Finish(stop);
  }

  // Brings `kept` up to date with this walk; returns how many outermost frames equal the last result's.
  uint32_t Keep() {
    if (!memoizing_) return 0;
    uint32_t reused = 0;
    uint32_t base = 0;
    if (reused_top_ >= 0) {
      base = static_cast<uint32_t>(reused_top_) + 1;
      if (static_cast<uint32_t>(reused_outer_) == memo_.last_outer) reused = base - memo_.last_outer;
      memo_.last_outer = static_cast<uint32_t>(reused_outer_);
    } else {
      memo_.last_outer = 0;
    }
    if (base + memo_.fresh_count > kCapacity) base = DropOutermost(base);
    for (uint32_t i = 0; i < memo_.fresh_count; ++i) {
      memo_.kept[base + i] = memo_.fresh[memo_.fresh_count - 1 - i];
    }
    memo_.count = base + memo_.fresh_count;
    return reused;
  }

  // Frames below the result's outermost are only left from earlier, deeper walks.
  uint32_t DropOutermost(uint32_t base) {
    uint32_t drop = memo_.last_outer;
    for (uint32_t i = drop; i < base; ++i) memo_.kept[i - drop] = memo_.kept[i];
    memo_.last_outer = 0;
    return base - drop;
  }

  const RuleTable& table_;
  Memo& memo_;
  uint64_t* pcs_;
  uint32_t max_frames_;
  int32_t below_;  // candidates for a meeting are kept[0..below_]
  Cursor cursor_{};
  uint32_t n_ = 0;
  StopReason stop_ = StopReason::kBottom;
  bool done_ = false, abandoned_ = false, memoizing_ = true;
  int32_t reused_top_ = -1, reused_outer_ = 0;
};

}  // namespace

WalkResult WalkWithMemo(const Registers& start, const StackLimits& limits, WalkMemo* opaque, uint64_t* pcs,
                        uint32_t max_frames, uint32_t* reused) {
  *reused = 0;
  Cursor cursor;
  Memo* memo = reinterpret_cast<Memo*>(opaque);
  uint32_t epoch = CurrentEpoch();
  if (max_frames == 0 || max_frames > kCapacity || !StartAt(start, limits, &cursor)) {
    memo->count = 0;
    return Walk(start, limits, pcs, max_frames);
  }
  if (memo->epoch != epoch || memo->high != limits.high || memo->low != limits.low) memo->count = 0;
  memo->epoch = epoch;
  memo->low = limits.low;
  memo->high = limits.high;
  RuleTable table = CurrentRuleTable(epoch);
  WalkResult result;
  if (MemoWalk(table, memo, pcs, max_frames).Run(cursor, &result, reused)) return result;
  memo->count = 0;
  return WalkWithAllRegisters(start, limits, pcs, max_frames);
}

}  // namespace leakhunt::unwind
