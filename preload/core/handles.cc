#include "preload/core/handles.h"

#include "preload/core/governor.h"
#include "preload/core/handle_lists.h"
#include "preload/core/handle_slots.h"
#include "preload/core/recorded_threads.h"
#include "preload/core/process.h"
#include "preload/core/stacks.h"
#include "preload/core/thread_state.h"
#include "preload/core/usual_handles.h"
#include "preload/sys/atomic.h"
#include "preload/sys/hot.h"
#include "preload/sys/memory.h"
#include "preload/sys/syscall.h"
#include "preload/transport/connection.h"
#include "preload/unwind/module_map.h"
#include "preload/unwind/path_cache.h"

namespace leakhunt::core {
namespace {

using protocol::HandleSlot;
using protocol::HandleType;
using protocol::SlotState;

bool Recording() {
  Mode mode = sys::LoadAcquire(&g_process.mode);
  if (mode == Mode::kOff) return false;
  return mode != Mode::kRecording || (g_process.options.track & protocol::kTrackHandles) != 0;
}

// A thread keeps two dead slots for itself: most openings follow a close. Only outside of leakhunt, where it is not busy.
HandleSlot* Take(ThreadState* state) {
  HandleSlot** const kept = state->handle_slot != nullptr ? &state->handle_slot : &state->spare_slot;
  HandleSlot* const slot = *kept;
  if (slot == nullptr) return TakeHandleSlot(SlotTaker::kVisitor);
  *kept = nullptr;
  return slot;
}
void Give(HandleSlot* slot) {
  ThreadLocal& local = t_local;
  const bool may = local.busy == 0 && local.state != nullptr && local.generation == g_process.generation;
  if (!may) return GiveHandleSlot(slot);
  if (!KeepIn(&local.state->handle_slot, slot)) KeepSpareSlot(local.state, slot);
}

}  // namespace

void KeepSpareSlot(ThreadState* state, HandleSlot* slot) {
  if (!KeepIn(&state->spare_slot, slot)) GiveHandleSlot(slot);
}

void Retire(DescriptorEntry entry) {
  if (!entry || entry.Generation() != GenerationTag()) return;
  HandleSlot* slot = entry.Slot();
  MarkDead(slot);
  if (entry.Inherited()) return;
  CountClosed(slot->tally);
  Give(slot);
}

uint32_t CopyLabelOfAnyLength(HandleSlot* slot, const char* label) {
  const uint64_t length = __builtin_strlen(label);
  if (length <= protocol::kLabelBytes) {
    sys::Copy(slot->label, label, length);
    return static_cast<uint32_t>(length);
  }
  constexpr uint64_t kEnd = protocol::kLabelBytes - 3;
  sys::Copy(slot->label, "...", 3);
  sys::Copy(slot->label + 3, label + length - kEnd, kEnd);
  return protocol::kLabelBytes;
}

namespace {

Opening OpeningOf(uint32_t stack, uint32_t reference) {
  return {stack, reference, reference == 0 ? nullptr : HandleTallyAt(reference)};
}

// PublishAt wherever there is a slot (null: none was to be had) and a place in the table for it.
void Publish(int fd, const HandleDescription& description, HandleSlot* slot, const Opening& opening, uint32_t thread) {
  uint64_t* word = EnsureDescriptor(fd);
  if (word == nullptr || slot == nullptr) {
    if (slot != nullptr) GiveHandleSlot(slot);
    CountLoss(0);
    return Retire(TakeDescriptor(fd));
  }
  Retire(PublishAt(word, fd, description, slot, opening, thread, NowTick()));
}

// What a forked child opens that will serve, and one that is about to exec does not: a prefork worker goes to sleep in
// its event loop after a handful of calls, and would not be seen before its first requests.
constexpr uint64_t kMeanToLive = HandleTypes(HandleType::kTcp, HandleType::kUdp, HandleType::kUnix, HandleType::kSocket, HandleType::kEpoll,
                                             HandleType::kEventfd, HandleType::kTimerfd, HandleType::kSignalfd);
bool MeansToLive(HandleType type) { return (kMeanToLive & HandleTypes(type)) != 0; }

constexpr uint16_t kMostPatience = 1023;

Opening WalkedOpening(ThreadState* state, const unwind::CallerRegisters* caller, HandleType type) {
  if (caller == nullptr) {
    const uint32_t stack = CaptureStack(state, nullptr);
    return OpeningOf(stack, HandleTallyOf(stack, type));
  }
  unwind::Registers& from = state->caller;
  unwind::SetRegisters(&from, *caller);
  const uint32_t stack = CaptureStack(state, &from);
  OpeningPlace* place = PlaceOf(state, *caller);
  if (stack != place->stack || place->tally == nullptr) {
    const Opening opening = OpeningOf(stack, HandleTallyOf(stack, type));
    place->walk.Forget();
    place->stack = opening.reference == 0 ? 0 : stack;
    place->reference = opening.reference;
    place->tally = opening.tally;
    place->waited = place->patience = 0;
    return opening;
  }
  // The same again: worth keeping. Where that does not help (the stack lies elsewhere each time), ever more rarely.
  if (place->waited++ >= place->patience) {
    KeepWalk(state, from, &place->walk);
    place->waited = 0;
    if (place->patience < kMostPatience) place->patience = static_cast<uint16_t>(2 * place->patience + 1);
  }
  return {stack, place->reference, place->tally};
}

Opening OpeningBy(ThreadState* state, const unwind::CallerRegisters* caller, HandleType type) {
  if (caller != nullptr) {
    const OpeningPlace* place = PlaceOf(state, *caller);
    if (place->walk.Holds(*caller, unwind::CurrentEpoch())) return {place->stack, place->reference, place->tally};
  }
  return WalkedOpening(state, caller, type);
}

void OpenedVisiting(int fd, const HandleDescription& description, const unwind::CallerRegisters* caller) {
  ThreadState* state = EnsureThreadState();
  if (state == nullptr) {
    CountLoss(0);
    return Retire(TakeDescriptor(fd));
  }
  VisitBegin(state);
  const Opening opening = OpeningBy(state, caller, description.type);
  Publish(fd, description, Take(state), opening, state->index);
  VisitEnd(state, true);
  if (IsForkedChild() && MeansToLive(description.type)) ConnectChild();
}

// Where Enter said no: paused, or in a signal handler that interrupted leakhunt.
void OpenedInside(int fd, const HandleDescription& description) {
  if (sys::LoadAcquire(&g_process.mode) != Mode::kRecording || !ProcessIsAlive()) return;
  if (t_local.busy == 0) return Retire(TakeDescriptor(fd));
  sys::AddRelaxed(&Header()->unknown_stacks, uint64_t{1});
  Publish(fd, description, TakeHandleSlot(SlotTaker::kHandler), OpeningOf(UnknownStack(), UnknownHandleTally()), 0);
}

// True when entries of the table may be taken out and retired: recording, in this process, and a forked child has
// become a process of its own. Not so only where nothing can be done about it.
bool MayRetire() {
  if (!Recording() || sys::LoadAcquire(&g_process.mode) != Mode::kRecording || InSharedMemoryChild()) return false;
  if (__builtin_expect(ProcessIsAlive(), 1)) return true;
  if (!Enter()) return false;
  Leave();
  return true;
}

// Process::children_share_memory.
constexpr uint32_t kChildrenShare = 1, kTablesDiffer = 2;

void Share(uint32_t what) {
  __atomic_fetch_or(&g_process.children_share_memory, what, __ATOMIC_SEQ_CST);
  OpeningsAreUsual();
}

// Whether the calling thread's descriptor table is another than the first thread's, which is the one that /proc/PID/fd lists.
// 1, 0; -1: the kernel does not tell.
int HasOwnTable() {
  constexpr long kFiles = 2;  // KCMP_FILES
  const int pid = sys::GetPid(), tid = sys::GetTid();
  if (tid == pid) return 0;
  const long order = sys::Call(SYS_kcmp, pid, tid, kFiles, 0, 0);
  return order < 0 ? -1 : order != 0;
}

[[gnu::noinline]] bool LookAtPid() {
  if (sys::LoadAcquire(&g_process.mode) != Mode::kRecording || !ProcessIsAlive()) return false;
  if (static_cast<uint32_t>(sys::GetPid()) != g_process.pid) return true;
  t_local.vforking &= kOwnDescriptors;  // on the thread itself again
  return t_local.vforking != 0 || ((sys::LoadRelaxed(&g_process.children_share_memory) & kTablesDiffer) != 0 && HasOwnTable() == 1);
}

}  // namespace

// In this order: a child by clone may have no t_local.
bool InSharedMemoryChild() {
  if (__builtin_expect(sys::LoadRelaxed(&g_process.children_share_memory) != 0, 0)) return LookAtPid();
  asm volatile("" ::: "memory");  // or the compiler loads both at once
  return __builtin_expect(t_local.vforking != 0, 0) && LookAtPid();
}

void VforkBegins() {
  if (Enter()) Leave();  // a forked child becomes a process of its own before it lends its memory
  t_local.vforking |= 1;
}

void ChildrenShareMemory() { Share(kChildrenShare); }

void DescriptorTablesDiffer() { Share(kTablesDiffer); }

void DescriptorsUnshared() {
  if (sys::HasOneThread()) return;  // it had its table for itself before
  if (HasOwnTable() < 0) t_local.vforking |= kOwnDescriptors;
  DescriptorTablesDiffer();
}

void HandleOpenedSomehow(int fd, const HandleDescription& description, const unwind::CallerRegisters* caller) {
  if (fd < 0 || !Recording() || InSharedMemoryChild()) return;
  if (!Enter()) return OpenedInside(fd, description);
  if (Recording()) OpenedVisiting(fd, description, caller);
  Leave();
}

LEAKHUNT_HOT void HandleOpened(int fd, HandleDescription description, const unwind::CallerRegisters* caller) {
  uint64_t* const word = FindDescriptor(fd);
  if (__builtin_expect(word == nullptr || caller == nullptr || !OpenedAsUsual(word, fd, description, *caller), 0)) {
    HandleOpenedSomehow(fd, description, caller);
  }
}

void HandleDuplicated(int from, int to, const unwind::CallerRegisters* caller) {
  if (to < 0 || !Recording() || InSharedMemoryChild()) return;
  HandleDescription description;
  DescriptorEntry entry = LoadDescriptor(from);
  if (entry && MayRetire()) entry = LoadDescriptor(from);  // a forked child's first visit renews the table
  if (entry && entry.Generation() == GenerationTag()) {
    description.type = entry.Type();
    description.label = entry.Slot()->label;
    description.label_bytes = entry.Slot()->label_bytes;
  }
  description.flags = protocol::kHandleDuplicate;
  HandleOpened(to, description, caller);
}

void HandleClosingSomehow(int fd) {
  if (!MayRetire()) return;
  Retire(TakeDescriptor(fd));
  if (sys::LoadRelaxed(&g_exit_listed) != 0) ExitListClosing(fd);
}

void HandleClosing(int fd) {
  uint64_t* const word = FindDescriptor(fd);
  if (word == nullptr || !ClosingAsUsual(word)) HandleClosingSomehow(fd);
}

void HandlesClosing(uint32_t first, uint32_t last) {
  if (!MayRetire()) return;
  constexpr uint32_t kHighest = 0x7FFF'FFFF;
  int end = static_cast<int>(last < kHighest ? last : kHighest - 1);
  for (int fd = first < kHighest ? NextDescriptor(static_cast<int>(first), end) : -1; fd >= 0; fd = NextDescriptor(fd + 1, end)) {
    HandleClosing(fd);
  }
}

DescriptorEntry HandleTaken(int fd) { return MayRetire() ? TakeDescriptor(fd) : DescriptorEntry{}; }

void HandleGone(DescriptorEntry entry) {
  if (MayRetire()) Retire(entry);
}

void HandlePutBack(int fd, DescriptorEntry entry) {
  uint64_t* word = entry && MayRetire() ? FindDescriptor(fd) : nullptr;
  if (word != nullptr) Retire(ExchangeDescriptor(word, entry));
}

void HandleNoted(int fd, uint8_t flags, const char* label) {
  DescriptorEntry entry = LoadDescriptor(fd);
  if (!entry || !MayRetire()) return;
  entry = LoadDescriptor(fd);
  if (!entry || entry.Generation() != GenerationTag()) return;
  HandleSlot* slot = entry.Slot();
  __atomic_fetch_or(&slot->flags, flags, __ATOMIC_RELAXED);
  if (label != nullptr) slot->label_bytes = static_cast<uint16_t>(CopyLabel(slot, label, kUpToNul));
}

HandleType TrackedType(int fd) {
  DescriptorEntry entry = LoadDescriptor(fd);
  return entry ? entry.Type() : HandleType::kOther;
}

void OpeningsAreUsual() {
  const bool tracked = (g_process.options.track & protocol::kTrackHandles) != 0;
  const bool unconnected = IsForkedChild() && !transport::Connected();
  // Set first and looked at afterwards: who makes one of them untrue and sets the word to 0 then comes before the look or
  // after the setting.
  __atomic_store_n(&g_process.usual_openings, !tracked ? 0 : unconnected ? ~kMeanToLive : ~uint64_t{0}, __ATOMIC_SEQ_CST);
  if (__atomic_load_n(&g_process.mode, __ATOMIC_SEQ_CST) != Mode::kRecording ||
      __atomic_load_n(&g_process.children_share_memory, __ATOMIC_SEQ_CST) != 0 || __atomic_load_n(&g_exit_listed, __ATOMIC_SEQ_CST) != 0) {
    sys::StoreRelaxed(&g_process.usual_openings, uint64_t{0});
  }
}

void OwnDescriptorMoved(int from, int to) {
  if (g_process.pages != nullptr && g_process.pages->Descriptor() == from) g_process.pages->SetDescriptor(to);
}

void InitializeHandles(bool list_inherited) {
  if ((g_process.options.track & protocol::kTrackHandles) == 0) return;
  InitializeHandleSlots();
  if (list_inherited) ListInheritedDescriptors();
}

void HandlesAfterFork() {
  ThreadsAfterFork();
  if ((g_process.options.track & protocol::kTrackHandles) == 0) return;
  InitializeHandleSlots();
  // The table that was copied is the forking thread's.
  const bool others = (sys::LoadRelaxed(&g_process.children_share_memory) & kTablesDiffer) != 0;
  t_local.vforking &= ~kOwnDescriptors;
  others ? ListInheritedDescriptors() : ListParentsHandles();
}

void ListHandlesAtExit() {
  if ((g_process.options.track & protocol::kTrackHandles) != 0 && !InSharedMemoryChild()) ListDescriptorsAtExit();
}

}  // namespace leakhunt::core
