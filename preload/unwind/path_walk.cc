// The walk of a thread that knows its own stacks; see path_cache.h.
#include "preload/unwind/module_map.h"
#include "preload/unwind/path_cache.h"
#include "preload/unwind/quick_step.h"

namespace leakhunt::unwind {

PathRule PathRuleOf(uint64_t word, uint32_t epoch) {
  constexpr PathRule kAgain{0, 8, PathKind::kAskAgain};
  // The step before, if there was one, has made the rule; else the first general step will, and this node asks again.
  FoundRule found = FindRule(CurrentRuleTable(epoch), (word & ~kExactPc) - 1 + (word >> 63));
  if (found.entry == nullptr) return kAgain;
  if (found.rule == PackTerminal(Terminal::kBottom)) return {0, 8, PathKind::kBottom};
  if (found.rule & kRuleNotSimple) return kAgain;
  const uint64_t offset = CfaOffset(found.rule), distance = SavedDistance(found.rule, 0);
  const PathKind kind = found.rule & kRuleFramePointer ? PathKind::kFramePointer
                        : distance <= offset           ? PathKind::kStack
                                                       : PathKind::kStackFar;
  return {static_cast<uint32_t>(offset), static_cast<uint16_t>(distance), kind};
}

namespace {

// Of a frame that was stepped from by its frame pointer: for good only when its pc lies in no object. Objects do not come
// to lie where code was generated unless that memory was given up, and with it the stacks that ran there.
PathRule GeneratedRule(uint64_t word) {
  UnwindSections sections;
  const bool none = FindModule((word & ~kExactPc) - 1 + (word >> 63), &sections) == ModuleLookup::kNone;
  return {16, 16, none ? PathKind::kGenerated : PathKind::kAskAgain};
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
  [[gnu::always_inline]] static bool LooksLikeFrame(uint64_t sp, uint64_t fp, uint64_t low, uint64_t high) {
    if ((fp & 7) != 0 || fp < sp || fp > high - 16) return false;
    const uint64_t back = *reinterpret_cast<const uint64_t*>(fp + 8);
    return back - kLowestPc < kPcLimit - kLowestPc && !(back >= low && back < high);
  }

  [[gnu::always_inline]] Pace Run(uint64_t low, uint64_t high, uint32_t max_frames) {
    const PathNode* const base = nodes;
    const PathNode* at = base + node;
    uint64_t s = sp, fp = rbp;
    uint32_t n = frames;
    Pace pace;
    for (;;) {
      const PathRule rule = at->rule;
      uint64_t cfa = s + rule.cfa_offset;
      if (__builtin_expect(rule.kind != PathKind::kStack, 0)) {
        if (rule.kind == PathKind::kGenerated) {
          if (!LooksLikeFrame(s, fp, low, high)) {
            pace = Pace::kGeneral;
            break;
          }
          cfa = fp + 16;
          ++generated;
        } else
        if (rule.kind > PathKind::kGenerated) {
          pace = rule.kind == PathKind::kBottom ? Pace::kBottom : Pace::kGeneral;
          break;
        } else {
          if (rule.kind == PathKind::kFramePointer) cfa = fp + rule.cfa_offset;
          if (__builtin_expect((cfa <= s) | (cfa & 7) | (cfa - rule.saved_distance < low), 0)) {
            pace = Pace::kBadFrame;
            break;
          }
        }
      }
      if (__builtin_expect(cfa > high, 0)) {
        pace = Pace::kBadFrame;
        break;
      }
      const uint64_t back = *reinterpret_cast<const uint64_t*>(cfa - 8);
      const uint64_t saved = *reinterpret_cast<const uint64_t*>(cfa - rule.saved_distance);
      fp = rule.saved_distance == 8 ? fp : saved;
      s = cfa;
      // Along the first walk of a path the caller's node is the next one. A branch that says so is predicted; the number
      // would have to be loaded, and each frame wait for the one before.
      const PathNode* likely = at + 1;
      if (at->likely != static_cast<uint32_t>(likely - base)) likely = base + at->likely;
      // The word of a node was checked when the node was made; that of node 0 is no address.
      if (__builtin_expect((likely->word != back) | (n == max_frames), 0)) {
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

class PathWalk {
 public:
  PathWalk(PathCache* cache, const Registers& start, const StackLimits& limits, uint64_t* pcs, uint32_t max_frames,
           uint32_t epoch)
      : cache_(*cache), start_(start), limits_(limits), pcs_(pcs), max_frames_(max_frames), epoch_(epoch) {}

  WalkResult Run(const Cursor& begin, uint32_t** known) {
    Cursor cursor = begin;
    Runner runner{nullptr, cache_.EnterInnermost(cursor.Word()), 1, cursor.sp, cursor.rbp, 0};
    if (runner.node == 0) return Walk(start_, limits_, pcs_, max_frames_);
    for (;;) {
      runner.nodes = &cache_.At(0);
      Pace pace = runner.Run(cursor.low, cursor.high, max_frames_);
      if (__builtin_expect(runner.generated != 0, 0)) CountFramePointerSteps(runner.generated), runner.generated = 0;
      if (pace == Pace::kBottom) return End(runner, StopReason::kBottom, known);
      if (pace == Pace::kBadFrame) return End(runner, StopOf(Step::kBadFrame), known);
      if (pace == Pace::kGeneral) {
        // Back to a cursor on the node's frame.
        const uint64_t word = cache_.At(runner.node).word;
        Cursor at{word & ~kExactPc, runner.sp, runner.rbp, word >> 63, 0, cursor.low, cursor.high};
        GeneralStep general = StepGeneral(CurrentRuleTable(epoch_), at);
        if (general.step == Step::kNeedsRegister) return WalkWithAllRegisters(start_, limits_, pcs_, max_frames_);
        cache_.At(runner.node).rule = general.by_frame_pointer ? GeneratedRule(word) : PathRuleOf(word, epoch_);
        if (general.step != Step::kStepped) return End(runner, StopOf(general.step), known);
        cursor = general.cursor;
        runner.sp = cursor.sp, runner.rbp = cursor.rbp, runner.word = cursor.Word();
      }
      // The runner's registers are those of the caller, whose pc is in `word`.
      const bool deep = runner.frames == max_frames_;
      const uint32_t inner = runner.node;
      const uint32_t outer = Turn(inner, deep ? kDepthMark : runner.word);
      if (outer == 0) return GoOn(runner, cursor);
      if (deep) return EndByDepth(inner, outer, known);
      runner.node = outer;
      ++runner.frames;
    }
  }

 private:
  // The node of caller `word`, from now on the likely one.
  uint32_t Turn(uint32_t inner, uint64_t word) {
    const PathNode& seen = cache_.At(inner);
    if (cache_.At(seen.likely).word == word) return seen.likely;
    uint32_t outer = cache_.At(seen.other).word == word ? seen.other : cache_.Enter(inner, word);
    PathNode& node = cache_.At(inner);  // after Enter, which may have moved the nodes
    if (outer != 0) node.other = node.likely, node.likely = outer;
    return outer;
  }

  // How a stack ends is part of it: only those that end as stacks do are kept.
  WalkResult End(const Runner& runner, StopReason stop, uint32_t** known) {
    const bool whole = stop == StopReason::kBottom;
    if (whole) *known = &cache_.At(runner.node).stack;
    if (!whole || **known == 0) cache_.Frames(runner.node, runner.frames, pcs_);
    return {runner.frames, stop};
  }

  WalkResult EndByDepth(uint32_t node, uint32_t end, uint32_t** known) {
    *known = &cache_.At(end).stack;
    if (**known == 0) cache_.Frames(node, max_frames_, pcs_);
    return {max_frames_, StopReason::kDepth};
  }

  // No room for more nodes: the rest as if there were none.
  [[gnu::noinline]] WalkResult GoOn(const Runner& runner, const Cursor& limits) {
    cache_.Frames(runner.node, runner.frames, pcs_);
    WalkResult result{runner.frames, StopReason::kDepth};
    if (runner.frames == max_frames_) return result;
    Cursor at{runner.word & ~kExactPc, runner.sp, runner.rbp, runner.word >> 63, 0, limits.low, limits.high};
    if (WalkOn(CurrentRuleTable(epoch_), at, pcs_, max_frames_, &result)) return result;
    return WalkWithAllRegisters(start_, limits_, pcs_, max_frames_);
  }

  PathCache& cache_;
  const Registers& start_;
  const StackLimits& limits_;
  uint64_t* const pcs_;
  const uint32_t max_frames_;
  const uint32_t epoch_;
};

}  // namespace

WalkResult WalkKnown(const Registers& start, const StackLimits& limits, PathCache* cache, uint64_t* pcs,
                     uint32_t max_frames, uint32_t** known) {
  *known = nullptr;
  Cursor cursor;
  if (max_frames == 0 || !StartAt(start, limits, &cursor)) return Walk(start, limits, pcs, max_frames);
  const uint32_t epoch = CurrentEpoch();
  cache->Prepare(epoch);
  return PathWalk(cache, start, limits, pcs, max_frames, epoch).Run(cursor, known);
}

}  // namespace leakhunt::unwind
