// The walk of a thread that knows its own stacks; see path_cache.h.
#include "preload/sys/own_stack.h"
#include "preload/unwind/module_map.h"
#include "preload/unwind/path_cache.h"
#include "preload/unwind/quick_step.h"
#include "preload/unwind/tail_memo.h"

namespace leakhunt::unwind {

PathRule PathRuleOf(uint64_t word, uint32_t epoch) {
  constexpr PathRule kAgain{0, 1, 0, PathKind::kAskAgain};
  // The step before, if there was one, has made the rule; else the first general step will, and this node asks again.
  FoundRule found = FindRule(CurrentRuleTable(epoch), (word & ~kExactPc) - 1 + (word >> 63));
  if (found.entry == nullptr) return kAgain;
  if (found.rule == PackTerminal(Terminal::kBottom)) return {0, 1, 0, PathKind::kBottom};
  if (found.rule & kRuleNotSimple) return kAgain;
  const uint64_t offset = CfaOffset(found.rule), distance = SavedDistance(found.rule, 0);
  if (offset / 8 > 0xFFFF) return kAgain;
  const PathKind kind = found.rule & kRuleFramePointer ? PathKind::kFramePointer
                        : distance <= offset           ? PathKind::kStack
                                                       : PathKind::kStackFar;
  return {static_cast<uint16_t>(offset / 8), static_cast<uint8_t>(distance / 8 & 0x7F), 0, kind};
}

namespace {

// Of a frame that was stepped from by its frame pointer: objects do not come to lie where code was generated unless that
// memory was given up, and with it the stacks that ran there.
[[gnu::noinline]] PathRule FramePointerRule(uint64_t word) {
  ModuleLookup found = ModuleLookup::kBusy;
  const bool asked = sys::OnOwnStack([&] {
    UnwindSections sections;
    found = FindModule((word & ~kExactPc) - 1 + (word >> 63), &sections);
  });
  switch (asked ? found : ModuleLookup::kBusy) {
    case ModuleLookup::kNone: return {2, 2, 0, PathKind::kGenerated};
    case ModuleLookup::kFound: return {2, 2, 0, PathKind::kBare};
    default: return {0, 1, 0, PathKind::kAskAgain};
  }
}

// The end by depth is a node of its own: without it, a stack that ends there by itself would be the same.
constexpr uint64_t kDepthMark = ~uint64_t{0};

enum class Pace : uint8_t {
  kTurned,   // the caller is another one
  kGeneral,  // no simple rule
  kBottom,
  kBadFrame,
};

// The tight part: along likely nodes. Locals only, so that the loop lives in registers; a frame is three loads of the
// node, two of the stack, and comparisons that are nearly always the same.
struct Runner {
  const PathNode* nodes;
  uint32_t node;
  uint32_t frames;  // frames up to and with `node`'s
  uint64_t sp, rbp, word;
  uint64_t generated = 0;  // steps by frame pointer

  // What StepFrame asks of a frame without CFI, where the answer is yes beyond doubt.
  [[gnu::always_inline]] static bool LooksLikeFrame(uint64_t sp, uint64_t fp, uint64_t low, uint64_t high, bool in_object) {
    if ((fp & 7) != 0 || fp < sp || fp > high - 16) return false;
    const uint64_t next = *reinterpret_cast<const uint64_t*>(fp), back = *reinterpret_cast<const uint64_t*>(fp + 8);
    if (in_object && ((next & 7) != 0 || next <= fp || next >= high)) return false;
    return back - kLowestPc < kPcLimit - kLowestPc && !(back >= low && back < high);
  }

  static uint64_t At(uint64_t address) { return *reinterpret_cast<const uint64_t*>(address); }

  [[gnu::always_inline]] Pace Run(uint64_t low, uint64_t high, uint32_t max_frames) {
    const PathNode* const base = nodes;
    const PathNode* at = base + node;
    uint64_t s = sp, fp = rbp;
    uint32_t n = frames;
    Pace pace;
    for (;;) {
      if (__builtin_expect(at->rule.straight, 1)) {
        const uint64_t bottom = s - at->rise * uint64_t{8};  // of the run
        const PathNode* const from = at;
        const PathNode* const last = at + (max_frames - n);
        do {
          const uint64_t cfa = bottom + at[1].rise * uint64_t{8};
          if (__builtin_expect(cfa > high || at == last, 0)) break;
          if (At(cfa - 8) != at[1].word) break;
          ++at;
        } while (at->rule.straight);
        if (at != from) {
          n += static_cast<uint32_t>(at - from);
          s = bottom + at->rise * uint64_t{8};
          if (at->saved_at != 0) fp = At(bottom + (at->saved_at - 1) * uint64_t{8});
        }
      }
      const PathRule rule = at->rule;
      uint64_t cfa = s + rule.cfa_words * uint64_t{8};
      const uint64_t distance = rule.saved_words * uint64_t{8};
      if (__builtin_expect(rule.kind != PathKind::kStack, 0)) {
        if (rule.kind == PathKind::kGenerated || rule.kind == PathKind::kBare) {
          if (!LooksLikeFrame(s, fp, low, high, rule.kind == PathKind::kBare)) {
            pace = Pace::kGeneral;
            break;
          }
          cfa = fp + 16;
          ++generated;
        } else if (rule.kind > PathKind::kBare) {
          pace = rule.kind == PathKind::kBottom ? Pace::kBottom : Pace::kGeneral;
          break;
        } else {
          if (rule.kind == PathKind::kFramePointer) cfa = fp + rule.cfa_words * uint64_t{8};
          if (__builtin_expect((cfa <= s) | (cfa & 7) | (cfa - distance < low), 0)) {
            pace = Pace::kBadFrame;
            break;
          }
        }
      }
      if (__builtin_expect(cfa > high, 0)) {
        pace = Pace::kBadFrame;
        break;
      }
      const uint64_t back = At(cfa - 8);
      const uint64_t saved = At(cfa - distance);
      fp = distance == 8 ? fp : saved;
      s = cfa;
      // Along the first walk of a path the caller's node is the next one. A branch that says so is predicted; the number
      // would have to be loaded, and each frame wait for the one before.
      const PathNode* likely = at + 1;
      if (at->likely != static_cast<uint32_t>(likely - base)) likely = base + at->likely;
      // The word of a node was checked when the node was made; that of node 0 is no address. Two callers that alternate
      // keep their places: what is learned of the first stays true.
      if (likely->word != back) likely = base + at->other;
      if (__builtin_expect(likely->word != back || n == max_frames, 0)) {
        word = back;
        pace = back - kLowestPc < kPcLimit - kLowestPc ? Pace::kTurned
               : back < kLowestPc                      ? Pace::kBottom
                                                       : Pace::kBadFrame;
        break;
      }
      at = likely;
      ++n;
    }
    node = static_cast<uint32_t>(at - base);
    sp = s, rbp = fp, frames = n;
    return pace;
  }
};

// Why a walk does not go on where it is.
enum class Turn : uint8_t {
  kDone,          // the walk has its result
  kGeneral,       // a general step is due: to be called again with `deep`, on a stack that has room
  kBeyond,        // no room for more nodes: the rest as if there were none
  kAllRegisters,  // the walk has to be made again
};

// What is rare and deep is not called from here: GoOn below does that, so that little of the program's stack is used at once.
class PathWalk {
 public:
  PathWalk(PathCache* cache, const Registers& start, const StackLimits& limits, uint64_t* pcs, uint32_t max_frames, uint32_t** known,
           const Runner& runner, Pace pace)
      : cache_(*cache), runner_(runner), pace_(pace), low_(start.sp), high_(limits.high), pcs_(pcs), max_frames_(max_frames),
        epoch_(CurrentEpoch()), known_(known) {
    if (runner.node == 0) runner_.word = start.pc, runner_.frames = 0;  // not even one for the innermost frame
  }

  // Goes on from where a run along likely nodes ended.
  [[gnu::noinline]] Turn GoOn(bool deep) {
    if (runner_.node == 0) return Turn::kBeyond;
    for (;;) {
      if (__builtin_expect(runner_.generated != 0, 0)) CountFramePointerSteps(runner_.generated), runner_.generated = 0;
      if (pace_ == Pace::kBottom) return End(StopReason::kBottom);
      if (pace_ == Pace::kBadFrame) return End(StopOf(Step::kBadFrame));
      if (pace_ == Pace::kGeneral) {
        if (!deep) return Turn::kGeneral;
        const Step step = StepFromNode();
        if (step == Step::kNeedsRegister) return Turn::kAllRegisters;
        if (step != Step::kStepped) return End(StopOf(step));
      }
      // The runner's registers are those of the caller, whose pc is in `word`.
      const bool too_many = runner_.frames == max_frames_;
      const uint32_t inner = runner_.node;
      const uint32_t outer = NodeOf(inner, too_many ? kDepthMark : runner_.word);
      if (outer == 0) return WithoutNodes();
      if (too_many) return EndByDepth(inner, outer);
      runner_.node = outer;
      ++runner_.frames;
      runner_.nodes = &cache_.At(0);
      pace_ = runner_.Run(low_, high_, max_frames_);
    }
  }

  // After kBeyond: the rest of the frames.
  [[gnu::noinline]] Turn GoBeyond(bool deep) {
    result_ = {runner_.frames, StopReason::kDepth};
    TailMemo* memo = max_frames_ <= TailMemo::kMostFrames ? cache_.Beyond() : nullptr;
    if (memo == nullptr) return deep ? GoBeyondWithoutMemo() : Turn::kGeneral;
    memo->SetStart(Here());
    switch (memo->WalkOn(epoch_, pcs_, max_frames_, &result_, deep)) {
      case TailMemo::Way::kWalked: return Turn::kDone;
      case TailMemo::Way::kGeneral: return Turn::kGeneral;
      default: return Turn::kAllRegisters;
    }
  }

  Turn End(StopReason stop) {
    if (runner_.node == 0) {
      pcs_[0] = runner_.word;
      result_ = {1, stop};
      return Turn::kDone;
    }
    // How a stack ends is part of it: only those that end as stacks do are kept.
    const bool whole = stop == StopReason::kBottom;
    if (whole) *known_ = &cache_.At(runner_.node).stack;
    if (!whole || **known_ == 0) cache_.Frames(runner_.node, runner_.frames, pcs_);
    result_ = {runner_.frames, stop};
    return Turn::kDone;
  }

  WalkResult Result() const { return result_; }

 private:
  // The node of caller `word`. A third caller takes the place of the second.
  uint32_t NodeOf(uint32_t inner, uint64_t word) {
    const PathNode& seen = cache_.At(inner);
    if (cache_.At(seen.other).word == word) return seen.other;
    uint32_t outer = seen.likely;
    if (cache_.At(outer).word != word) {
      outer = cache_.Enter(inner, word);
      if (outer == 0) return 0;
      PathNode& node = cache_.At(inner);  // after Enter, which may have moved the nodes
      if (node.likely != 0) return node.other = outer;
      node.likely = outer;
    }
    const PathRule rule = cache_.At(inner).rule;
    if (outer == inner + 1 && rule.kind == PathKind::kStack && !rule.straight && word != kDepthMark) cache_.Straighten(inner);
    return outer;
  }

  [[gnu::noinline]] Turn GoBeyondWithoutMemo() {
    return WalkOn(CurrentRuleTable(epoch_), Here(), pcs_, max_frames_, &result_) ? Turn::kDone : Turn::kAllRegisters;
  }

  Cursor Here() const { return {runner_.word & ~kExactPc, runner_.sp, runner_.rbp, runner_.word >> 63, 0, low_, high_}; }

  // A general step from the frame of the runner's node. Not in line: GoOn's frame is small where it is not needed.
  [[gnu::noinline]] Step StepFromNode() {
    const uint64_t word = cache_.At(runner_.node).word;
    GeneralStep general{Step::kStepped, false, false, Cursor{word & ~kExactPc, runner_.sp, runner_.rbp, word >> 63, 0, low_, high_}};
    StepGeneral(CurrentRuleTable(epoch_), &general);
    if (general.step == Step::kNeedsRegister) return general.step;
    cache_.At(runner_.node).rule = general.by_frame_pointer ? FramePointerRule(word) : PathRuleOf(word, epoch_);
    if (general.step != Step::kStepped) return general.step;
    const Cursor& at = general.cursor;
    low_ = at.low, high_ = at.high;
    runner_.sp = at.sp, runner_.rbp = at.rbp, runner_.word = at.Word();
    return general.step;
  }

  Turn EndByDepth(uint32_t node, uint32_t end) {
    *known_ = &cache_.At(end).stack;
    if (**known_ == 0) cache_.Frames(node, max_frames_, pcs_);
    result_ = {max_frames_, StopReason::kDepth};
    return Turn::kDone;
  }

  Turn WithoutNodes() {
    cache_.Frames(runner_.node, runner_.frames, pcs_);
    result_ = {runner_.frames, StopReason::kDepth};
    return runner_.frames == max_frames_ ? Turn::kDone : Turn::kBeyond;
  }

  PathCache& cache_;
  Runner runner_;
  Pace pace_;
  uint64_t low_, high_;
  uint64_t* const pcs_;
  const uint32_t max_frames_;
  const uint32_t epoch_;
  uint32_t** const known_;
  WalkResult result_ = {};
};

[[gnu::noinline]] WalkResult GoOn(const Registers& start, const StackLimits& limits, PathCache* cache, uint64_t* pcs,
                                  uint32_t max_frames, uint32_t** known, const Runner& runner, Pace pace) {
  PathWalk walk(cache, start, limits, pcs, max_frames, known, runner, pace);
  Turn turn = walk.GoOn(false);
  const bool beyond = turn == Turn::kBeyond;
  if (beyond) turn = walk.GoBeyond(false);
  // Once deep, all the rest is.
  const auto deeply = [&] {
    if (!beyond) turn = walk.GoOn(true);
    if (beyond || turn == Turn::kBeyond) turn = walk.GoBeyond(true);
  };
  if (turn == Turn::kGeneral && !sys::OnOwnStackOrHere(deeply)) turn = walk.End(StopOf(Step::kNoRule));
  if (turn == Turn::kAllRegisters) return WalkWithAllRegisters(start, limits, pcs, max_frames);
  return walk.Result();
}

}  // namespace

WalkResult WalkKnown(const Registers& start, const StackLimits& limits, PathCache* cache, uint64_t* pcs,
                     uint32_t max_frames, uint32_t** known) {
  *known = nullptr;
  if (max_frames == 0 || start.sp < limits.low || start.sp >= limits.high || (start.sp & 7) != 0) {
    return Walk(start, limits, pcs, max_frames);
  }
  cache->Prepare(CurrentEpoch());
  Runner runner{nullptr, cache->EnterInnermost(start.pc), 1, start.sp, start.rbp, 0};
  Pace pace = Pace::kBadFrame;
  if (__builtin_expect(runner.node != 0, 1)) {
    runner.nodes = &cache->At(0);
    pace = runner.Run(start.sp, limits.high, max_frames);
    uint32_t* stack = &cache->At(runner.node).stack;
    if (__builtin_expect(pace == Pace::kBottom && *stack != 0, 1)) {
      if (__builtin_expect(runner.generated != 0, 0)) CountFramePointerSteps(runner.generated);
      *known = stack;
      return {runner.frames, StopReason::kBottom};
    }
  }
  return GoOn(start, limits, cache, pcs, max_frames, known, runner, pace);
}

}  // namespace leakhunt::unwind
