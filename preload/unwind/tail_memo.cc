#include "preload/unwind/tail_memo.h"

namespace leakhunt::unwind {
namespace {

// Where return addresses change at every level, comparing finds frame after frame alone and is only more work.
constexpr uint32_t kMostFruitless = 4;

uint64_t At(uint64_t address) { return *reinterpret_cast<const uint64_t*>(address); }

}  // namespace

bool TailMemo::Same(const Frame& frame, const Cursor& cursor) {
  return frame.sp == cursor.sp && frame.word == cursor.Word() && frame.rbp == cursor.rbp;
}

uint32_t TailMemo::Verify(const Side& last, uint32_t first, uint64_t low, uint64_t high) {
  uint32_t same = first;
  for (; same + 1 < last.frames; ++same) {
    const Frame& next = last.at[same + 1];
    if (next.saved == kOther || next.sp > high) break;
    if (At(next.sp - 8) != next.word) break;
    if (next.saved != 0 && (next.saved < low || At(next.saved) != next.rbp)) break;
  }
  return same;
}

TailMemo::Way TailMemo::WalkOn(uint32_t epoch, uint64_t* pcs, uint32_t max_frames, WalkResult* result, bool deep) {
  const RuleTable table = CurrentRuleTable(epoch);
  Cursor cursor = general_.cursor;
  Side& last = sides_[current_];
  Side& now = sides_[1 - current_];
  if (epoch_ != epoch) last.frames = 0, epoch_ = epoch;
  current_ = 1 - current_;
  now.frames = 0;
  uint64_t saved = kOther;  // of the step that led to the cursor
  uint32_t candidate = 0, fruitless = 0;
  for (uint32_t n = result->frames;;) {
    pcs[n++] = cursor.Word();
    now.at[now.frames++] = {cursor.Word(), cursor.sp, cursor.rbp, saved};
    while (candidate < last.frames && last.at[candidate].sp < cursor.sp) ++candidate;
    if (candidate < last.frames && fruitless < kMostFruitless && Same(last.at[candidate], cursor)) {
      uint32_t same = Verify(last, candidate, cursor.low, cursor.high) - candidate;
      if (same > max_frames - n) same = max_frames - n;
      for (uint32_t i = 1; i <= same; ++i) {
        const Frame& frame = now.at[now.frames++] = last.at[candidate + i];
        pcs[n++] = frame.word;
      }
      fruitless += same < 2 ? 1 : 0;
      if (same != 0) {
        const Frame& frame = now.at[now.frames - 1];
        cursor = Cursor{frame.word, frame.sp, frame.rbp, 0, 0, cursor.low, cursor.high};
      }
    }
    Quick quick = QuickStep(table, &cursor);
    saved = cursor.saved_slot;
    if (__builtin_expect(quick != Quick::kStepped, 0)) {
      if (quick == Quick::kBottom) return *result = {n, StopReason::kBottom}, Way::kWalked;
      if (quick == Quick::kBadFrame) return *result = {n, StopOf(Step::kBadFrame)}, Way::kWalked;
      if (!deep) {
        current_ = 1 - current_;
        return Way::kGeneral;
      }
      GeneralStep& general = general_;
      general.cursor = cursor;
      StepGeneral(table, &general);
      if (general.step == Step::kNeedsRegister) {
        now.frames = 0;
        return Way::kAllRegisters;
      }
      if (general.step != Step::kStepped) return *result = {n, StopOf(general.step)}, Way::kWalked;
      cursor = general.cursor;
      saved = general.by_frame_pointer ? cursor.sp - 16 : kOther;
    }
    if (n == max_frames) return *result = {n, StopReason::kDepth}, Way::kWalked;
  }
}

}  // namespace leakhunt::unwind
