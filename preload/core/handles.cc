#include "preload/core/handles.h"

#include "preload/core/governor.h"
#include "preload/core/handle_lists.h"
#include "preload/core/handle_slots.h"
#include "preload/core/joinable_threads.h"
#include "preload/core/process.h"
#include "preload/core/stacks.h"
#include "preload/core/thread_state.h"
#include "preload/sys/atomic.h"
#include "preload/sys/memory.h"
#include "preload/sys/syscall.h"

namespace leakhunt::core {
namespace {

using protocol::HandleSlot;
using protocol::HandleType;
using protocol::SlotState;

constinit thread_local uint32_t t_vforking __attribute__((tls_model("initial-exec"))) = 0;
constinit uint32_t g_children_share = 0;

bool Recording() {
  Mode mode = sys::LoadAcquire(&g_process.mode);
  if (mode == Mode::kOff) return false;
  return mode != Mode::kRecording || (g_process.options.track & protocol::kTrackHandles) != 0;
}

uint16_t Generation() { return static_cast<uint16_t>(g_process.generation); }

void SetState(HandleSlot* slot, SlotState state) {
  uint64_t generation = protocol::GenerationOf(sys::LoadRelaxed(&slot->state));
  sys::StoreRelease(&slot->state, protocol::PackState(generation, state));  // partner: the collector's sweep
}

// The handle of an entry that is out of the table is closed.
void Retire(DescriptorEntry entry) {
  if (!entry || entry.Generation() != Generation()) return;
  HandleSlot* slot = HandleSlotAt(entry.Slot());
  SetState(slot, SlotState::kDead);
  if (entry.Inherited()) return;
  CountClosed(slot->tally);
  GiveHandleSlot(entry.Slot());
}

void CopyLabel(HandleSlot* slot, const char* label) {
  uint64_t length = label == nullptr ? 0 : __builtin_strlen(label);
  uint32_t kept = 0;
  if (length > protocol::kLabelBytes) {
    sys::Copy(slot->label, "...", 3);
    kept = 3;
    label += length - (protocol::kLabelBytes - 3);
    length = protocol::kLabelBytes - 3;
  }
  if (length != 0) sys::Copy(slot->label + kept, label, length);
  slot->label_bytes = static_cast<uint16_t>(kept + length);
}

struct Origin {
  SlotTaker taker;
  uint32_t stack, tally, thread;
};

// Fills a slot, makes it live, and swings the number's entry to it.
void Publish(int fd, const HandleDescription& description, const Origin& origin) {
  uint64_t* word = EnsureDescriptor(fd);
  uint32_t reference = 0;
  HandleSlot* slot = word == nullptr ? nullptr : TakeHandleSlot(origin.taker, &reference);
  if (slot == nullptr) {
    CountLoss(0);
    return Retire(TakeDescriptor(fd));
  }
  uint64_t generation = protocol::GenerationOf(sys::LoadRelaxed(&slot->state)) + 1;
  sys::StoreRelaxed(&slot->state, protocol::PackState(generation, SlotState::kFilling));
  sys::StoreRelease(&slot->stack_birth, protocol::PackStack(origin.stack, NowTick()));
  slot->fd = fd;
  slot->type = static_cast<uint8_t>(description.type);
  slot->flags = description.flags;
  slot->thread = origin.thread;
  slot->tally = origin.tally;
  slot->inode = 0;
  CopyLabel(slot, description.label);
  CountOpened(origin.tally);
  SetState(slot, SlotState::kLive);
  Retire(ExchangeDescriptor(word, PackEntry(reference, Generation(), description.type, false)));
}

void OpenedVisiting(int fd, const HandleDescription& description) {
  ThreadState* state = EnsureThreadState();
  if (state == nullptr) {
    CountLoss(0);
    return Retire(TakeDescriptor(fd));
  }
  VisitBegin(state);
  uint32_t stack = CaptureStack(state);
  Publish(fd, description, Origin{SlotTaker::kVisitor, stack, HandleTallyOf(stack), state->index});
  VisitEnd(state);
}

// Where Enter said no: paused, or in a signal handler that interrupted leakhunt.
void OpenedInside(int fd, const HandleDescription& description) {
  if (sys::LoadAcquire(&g_process.mode) != Mode::kRecording || !ProcessIsAlive()) return;
  if (t_local.busy == 0) return Retire(TakeDescriptor(fd));
  sys::AddRelaxed(&Header()->unknown_stacks, uint64_t{1});
  Publish(fd, description, Origin{SlotTaker::kHandler, UnknownStack(), UnknownHandleTally(), 0});
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

[[gnu::noinline]] bool LookAtPid() {
  if (sys::LoadAcquire(&g_process.mode) != Mode::kRecording || !ProcessIsAlive()) return false;
  if (static_cast<uint32_t>(sys::GetPid()) != g_process.pid) return true;
  t_vforking = 0;
  return false;
}

}  // namespace

bool InSharedMemoryChild() {
  return __builtin_expect((t_vforking | sys::LoadRelaxed(&g_children_share)) != 0, 0) && LookAtPid();
}

void VforkBegins() {
  if (Enter()) Leave();  // a forked child becomes a process of its own before it lends its memory
  t_vforking = 1;
}

void ChildrenShareMemory() { sys::StoreRelaxed(&g_children_share, 1u); }

void HandleOpened(int fd, const HandleDescription& description) {
  if (fd < 0 || !Recording() || InSharedMemoryChild()) return;
  if (!Enter()) return OpenedInside(fd, description);
  if (Recording()) OpenedVisiting(fd, description);
  Leave();
}

void HandleDuplicated(int from, int to) {
  if (to < 0 || !Recording() || InSharedMemoryChild()) return;
  HandleDescription description;
  char label[protocol::kLabelBytes + 1];
  DescriptorEntry entry = LoadDescriptor(from);
  if (entry && MayRetire()) entry = LoadDescriptor(from);  // a forked child's first visit renews the table
  if (entry && entry.Generation() == Generation()) {
    const HandleSlot* slot = HandleSlotAt(entry.Slot());
    uint32_t bytes = slot->label_bytes <= protocol::kLabelBytes ? slot->label_bytes : 0;
    sys::Copy(label, slot->label, bytes);
    label[bytes] = 0;
    description.type = entry.Type();
    description.label = label;
  }
  description.flags = protocol::kHandleDuplicate;
  HandleOpened(to, description);
}

void HandleClosing(int fd) {
  if (!MayRetire()) return;
  Retire(TakeDescriptor(fd));
  ExitListClosing(fd);
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
  if (!entry || entry.Generation() != Generation()) return;
  HandleSlot* slot = HandleSlotAt(entry.Slot());
  __atomic_fetch_or(&slot->flags, flags, __ATOMIC_RELAXED);
  if (label != nullptr) CopyLabel(slot, label);
}

HandleType TrackedType(int fd) {
  DescriptorEntry entry = LoadDescriptor(fd);
  return entry ? entry.Type() : HandleType::kOther;
}

void OwnDescriptorMoved(int from, int to) {
  if (g_process.pages != nullptr && g_process.pages->Descriptor() == from) g_process.pages->SetDescriptor(to);
}

void InitializeHandles() {
  if ((g_process.options.track & protocol::kTrackHandles) == 0) return;
  InitializeHandleSlots();
  ListInheritedDescriptors();
}

void HandlesAfterFork() {
  ThreadsAfterFork();
  if ((g_process.options.track & protocol::kTrackHandles) == 0) return;
  InitializeHandleSlots();
  ListParentsHandles();
}

void ListHandlesAtExit() {
  if ((g_process.options.track & protocol::kTrackHandles) != 0) ListDescriptorsAtExit();
}

}  // namespace leakhunt::core
