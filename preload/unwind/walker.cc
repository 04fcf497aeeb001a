// The walk: quick steps, general steps where those do not do, and once more with all registers where that does not do.
#include "preload/unwind/unwinder.h"

#include "preload/sys/atomic.h"
#include "preload/sys/own_stack.h"
#include "preload/unwind/loaded_object.h"
#include "preload/unwind/module_map.h"
#include "preload/unwind/quick_step.h"
#include "preload/unwind/rule_source.h"

namespace leakhunt::unwind {
namespace {

constexpr uint32_t kMaxOwnFrames = 32;

constinit WalkCounters g_counters{};
constinit uint64_t g_own_start = 0, g_own_end = 0;

// In a JIT's stacks these are most steps: the shared counter is written once in kStepBatch of a thread's.
constexpr uint32_t kStepBatch = 256;
constinit thread_local uint64_t t_frame_pointer_steps = 0;

Frame FrameOf(const Registers& from, const StackLimits& limits) {
  Frame frame;
  frame.exact_pc = from.pc >> 63;
  frame.limits = {from.sp, limits.high};
  const uint64_t saved[] = {from.rbx, from.rbp, from.sp, from.r12, from.r13, from.r14, from.r15, from.pc & ~kExactPc};
  constexpr uint8_t kNumbers[] = {3, 6, 7, 12, 13, 14, 15, 16};
  for (int i = 0; i < 8; ++i) frame.state.Set(kNumbers[i], saved[i]);
  return frame;
}

// All registers at `start`, found by walking there from `here` through our own frames, whose prologues saved them.
bool FindRegistersOf(const RuleTable& table, const Registers& here, const Registers& start, const StackLimits& limits, Frame* frame) {
  if (here.sp < limits.low || here.sp >= start.sp) return false;
  *frame = FrameOf(here, limits);
  for (uint32_t i = 0; i < kMaxOwnFrames && frame->sp() < start.sp; ++i) {
    if (StepFrame(table, frame) != Step::kStepped) return false;
  }
  return frame->sp() == start.sp && frame->pc() == (start.pc & ~kExactPc);
}

}  // namespace

void CountFramePointerSteps(uint64_t steps) {
  const uint64_t before = t_frame_pointer_steps / kStepBatch, now = (t_frame_pointer_steps += steps) / kStepBatch;
  if (now != before) sys::AddRelaxed(&g_counters.frame_pointer_steps, (now - before) * kStepBatch);
}

StopReason StopOf(Step step) {
  switch (step) {
    case Step::kBottom: return StopReason::kBottom;
    case Step::kNoRule: return StopReason::kNoRule;
    case Step::kBadFrame: sys::AddRelaxed(&g_counters.bad_frames, uint64_t{1}); return StopReason::kBadFrame;
    default: sys::AddRelaxed(&g_counters.unsupported, uint64_t{1}); return StopReason::kUnsupported;
  }
}

namespace {

void StepDeeply(const RuleTable& table, GeneralStep* general) {
  const Cursor from = general->cursor;
  Frame frame;
  frame.state.Set(X86_64::kReturn, from.pc);
  frame.state.Set(X86_64::kStackPointer, from.sp);
  frame.state.Set(X86_64::kFramePointer, from.rbp);
  frame.exact_pc = from.exact;
  frame.limits = {from.low, from.high};
  *general = {StepFrame(table, &frame), false, false, from};
  if (general->step != Step::kStepped) return;
  uint64_t rbp = frame.state.Knows(X86_64::kFramePointer) ? frame.state.value[X86_64::kFramePointer] : 0;
  uint64_t slot = frame.by_frame_pointer ? frame.sp() - 16 : 0;
  if (frame.by_frame_pointer) CountFramePointerSteps(1);
  *general = {Step::kStepped, frame.by_frame_pointer, frame.switched_stack,
              Cursor{frame.pc(), frame.sp(), rbp, frame.exact_pc, slot, frame.limits.low, frame.limits.high}};
}

WalkResult WalkDeeply(const Registers& here, const Registers& start, const StackLimits& limits, uint64_t* pcs, uint32_t max_frames) {
  RuleTable table = CurrentRuleTable(CurrentEpoch());
  Frame frame;
  if (!FindRegistersOf(table, here, start, limits, &frame)) frame = FrameOf(start, limits);
  frame.limits.low = start.sp;
  for (uint32_t n = 0;;) {
    pcs[n++] = frame.pc() | uint64_t{frame.exact_pc} << 63;
    Step step = StepFrame(table, &frame);
    if (step != Step::kStepped) return {n, StopOf(step)};
    if (n == max_frames) return {n, StopReason::kDepth};
  }
}

bool FindOutside(const Registers& here, const StackLimits& limits, Registers* registers) {
  RuleTable table = CurrentRuleTable(CurrentEpoch());
  Frame frame = FrameOf(here, limits);
  for (uint32_t i = 0; i < kMaxOwnFrames && frame.lookup() - g_own_start < g_own_end - g_own_start; ++i) {
    if (StepFrame(table, &frame) != Step::kStepped) return false;
  }
  if (frame.lookup() - g_own_start < g_own_end - g_own_start) return false;
  const uint64_t* value = frame.state.value;
  *registers = {frame.pc() | uint64_t{frame.exact_pc} << 63, frame.sp(), value[6], value[3], value[12], value[13],
                value[14], value[15]};
  return true;
}

}  // namespace

// A general step or walk needs up to 9 KiB of stack. Callers of Walk see to it that there is room where system calls are forbidden.
[[gnu::noinline]] void StepGeneral(const RuleTable& table, GeneralStep* general) {
  if (!sys::OnOwnStackOrHere([&] { StepDeeply(table, general); })) general->step = Step::kNoRule;
}

[[gnu::noinline]] WalkResult WalkWithAllRegisters(const Registers& start, const StackLimits& limits, uint64_t* pcs,
                                                  uint32_t max_frames) {
  sys::AddRelaxed(&g_counters.general_walks, uint64_t{1});
  Registers here;
  CaptureHere(&here);  // on the program's stack, from where our frames lead to `start`
  WalkResult result{1, StopReason::kNoRule};
  pcs[0] = start.pc;
  (void)sys::OnOwnStackOrHere([&] { result = WalkDeeply(here, start, limits, pcs, max_frames); });
  return result;
}

bool WalkOn(const RuleTable& table, Cursor cursor, uint64_t* pcs, uint32_t max_frames, WalkResult* result) {
  for (uint32_t n = result->frames;;) {
    pcs[n++] = cursor.Word();
    Quick quick = QuickStep(table, &cursor);
    if (__builtin_expect(quick != Quick::kStepped, 0)) {
      if (quick == Quick::kBottom) return *result = {n, StopReason::kBottom}, true;
      if (quick == Quick::kBadFrame) return *result = {n, StopOf(Step::kBadFrame)}, true;
      GeneralStep general{Step::kStepped, false, false, cursor};
      StepGeneral(table, &general);
      if (general.step == Step::kNeedsRegister) return false;
      if (general.step != Step::kStepped) return *result = {n, StopOf(general.step)}, true;
      cursor = general.cursor;
    }
    if (n == max_frames) return *result = {n, StopReason::kDepth}, true;
  }
}

// All of it on a stack of leakhunt's own: these are a thread's first walks, which find few rules in the cache.
WalkResult Walk(const Registers& start, const StackLimits& limits, uint64_t* pcs, uint32_t max_frames) {
  if (max_frames == 0) return {0, StopReason::kDepth};
  WalkResult result{0, StopReason::kDepth};
  bool done = true;
  const bool walked = sys::OnOwnStackOrHere([&] {
    Cursor cursor;
    if (StartAt(start, limits, &cursor)) done = WalkOn(CurrentRuleTable(CurrentEpoch()), cursor, pcs, max_frames, &result);
    else pcs[0] = start.pc, result = {1, StopOf(Step::kBadFrame)};
  });
  if (!walked) pcs[0] = start.pc, result = {1, StopOf(Step::kNoRule)};
  return done ? result : WalkWithAllRegisters(start, limits, pcs, max_frames);
}

bool CaptureOutside(const StackLimits& limits, Registers* registers) {
  Registers here;
  CaptureHere(&here);
  if (here.sp < limits.low || here.sp >= limits.high) return false;
  bool found = false;
  return sys::OnOwnStackOrHere([&] { found = FindOutside(here, limits, registers); }) && found;
}

WalkCounters Counters() {
  return {sys::LoadRelaxed(&g_counters.general_walks), sys::LoadRelaxed(&g_counters.frame_pointer_steps),
          sys::LoadRelaxed(&g_counters.unsupported), sys::LoadRelaxed(&g_counters.bad_frames), DecodedRows()};
}

void Initialize() {
  InitializeModules();
  InitializeRuleCache();
  LoadedObject own;
  if (FindLoadedObject(reinterpret_cast<uint64_t>(&Initialize), &own)) g_own_start = own.start, g_own_end = own.end;
}

}  // namespace leakhunt::unwind
