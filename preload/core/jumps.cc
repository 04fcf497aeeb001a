#include "preload/core/jumps.h"

#include <signal.h>

#include "preload/core/process.h"
#include "preload/core/thread_state.h"
#include "preload/sys/spinlock.h"
#include "preload/sys/syscall.h"

namespace leakhunt::core {
namespace {

constexpr uint32_t kLeastPosition = 4096;  // less is a count: of a visit that says nothing of its frame
constexpr int32_t kNear = 1 << 20;         // further above, it may be another stack

struct Stack {
  uint64_t low = 0, bytes = 0;
  bool Holds(uint64_t sp) const { return sp - low < bytes; }
  bool HoldsLowerHalf(uint32_t sp) const { return sp - static_cast<uint32_t>(low) < bytes; }
};

// The thread's alternate signal stack, if it has one; none where the kernel must not be asked.
Stack AlternateStack() {
  stack_t stack{};
  if (sys::Gated() || sys::Failed(sys::Call(SYS_sigaltstack, 0, sys::Word(&stack))) || (stack.ss_flags & SS_DISABLE) != 0) return {};
  return {reinterpret_cast<uint64_t>(stack.ss_sp), stack.ss_size};
}

// A child by clone that shares the memory may share the thread's storage, too: the frame may be its parent's, which runs.
bool MarkHasPosition() { return t_local.busy >= kLeastPosition && sys::LoadRelaxed(&g_process.children_share_memory) == 0; }

void Leave(ThreadLocal* local) {
  sys::ReleaseAbandonedLocks(g_process.generation);
  if (ProcessIsAlive()) {
    if (local->state != nullptr && local->generation == g_process.generation) ForgetHalfWritten(local->state);
    CountLoss(0);
  }
  core::Leave();
}

int32_t Above(uint64_t sp, uint32_t mark) { return static_cast<int32_t>(static_cast<uint32_t>(sp) - mark); }

}  // namespace

void JumpsTo(uint64_t target, uint64_t here) {
  ThreadLocal& local = t_local;
  if (!MarkHasPosition()) return;
  const Stack alternate = AlternateStack();
  const bool handler_aside = alternate.Holds(here) && !alternate.HoldsLowerHalf(local.busy);
  if (handler_aside ? !alternate.Holds(target) : Above(target, local.busy) > 0) Leave(&local);
}

bool LeftVisit(uint64_t caller) {
  ThreadLocal& local = t_local;
  if (!MarkHasPosition()) return false;
  const int32_t above = Above(caller, local.busy);
  if (above < 0 || above >= kNear) return false;
  const Stack alternate = AlternateStack();
  if (alternate.Holds(caller) != alternate.HoldsLowerHalf(local.busy)) return false;
  Leave(&local);
  return true;
}

}  // namespace leakhunt::core
