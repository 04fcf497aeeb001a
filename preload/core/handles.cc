#include "preload/core/handles.h"

#include "preload/core/governor.h"
#include "preload/core/handle_lists.h"
#include "preload/core/handle_slots.h"
#include "preload/core/joinable_threads.h"
#include "preload/core/process.h"
#include "preload/core/stacks.h"
#include "preload/core/thread_state.h"
#include "preload/sys/atomic.h"
#include "preload/sys/hot.h"
#include "preload/sys/memory.h"
#include "preload/sys/syscall.h"
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

uint16_t Generation() { return static_cast<uint16_t>(g_process.generation); }

void SetState(HandleSlot* slot, SlotState state) {
  uint64_t generation = protocol::GenerationOf(sys::LoadRelaxed(&slot->state));
  sys::StoreRelease(&slot->state, protocol::PackState(generation, state));  // partner: the collector's sweep
}

// A thread keeps one dead slot for itself: most openings follow a close. Only outside of leakhunt, where it is not busy.
HandleSlot* Take(ThreadState* state) {
  HandleSlot* slot = state->handle_slot;
  if (slot == nullptr) return TakeHandleSlot(SlotTaker::kVisitor);
  state->handle_slot = nullptr;
  return slot;
}
void Give(HandleSlot* slot) {
  ThreadLocal& local = t_local;
  ThreadState* state = local.state;
  if (local.busy != 0 || state == nullptr || local.generation != g_process.generation || state->handle_slot != nullptr) {
    return GiveHandleSlot(slot);
  }
  local.busy = 1;  // a signal handler from here on goes to the shared list
  asm volatile("" ::: "memory");
  if (state->handle_slot == nullptr) {
    state->handle_slot = slot;
    slot = nullptr;
  }
  asm volatile("" ::: "memory");
  local.busy = 0;
  if (slot != nullptr) GiveHandleSlot(slot);
}

// The handle of an entry that is out of the table is closed.
LEAKHUNT_HOT void Retire(DescriptorEntry entry) {
  if (!entry || entry.Generation() != Generation()) return;
  HandleSlot* slot = entry.Slot();
  SetState(slot, SlotState::kDead);
  if (entry.Inherited()) return;
  CountClosed(slot->tally);
  Give(slot);
}

// A dozen bytes as a rule: the compiler's choice for an unknown length below 100, rep movs, takes 20 ns to start.
void CopyShort(char* to, const char* from, uint64_t bytes) {
  if (bytes < 8) {
    for (; bytes != 0; --bytes) {
      *to++ = *from++;
      asm volatile("" ::: "memory");
    }
    return;
  }
  for (uint64_t at = 0; at + 8 <= bytes; at += 8) {
    __builtin_memcpy(to + at, from + at, 8);
    asm volatile("" ::: "memory");
  }
  __builtin_memcpy(to + bytes - 8, from + bytes - 8, 8);
}

LEAKHUNT_HOT void CopyLabel(HandleSlot* slot, const char* label, uint64_t length) {
  if (label == nullptr) length = 0;
  else if (length == ~uint64_t{0}) length = __builtin_strlen(label);
  uint32_t kept = 0;
  if (length > protocol::kLabelBytes) {
    sys::Copy(slot->label, "...", 3);
    kept = 3;
    label += length - (protocol::kLabelBytes - 3);
    length = protocol::kLabelBytes - 3;
  }
  CopyShort(slot->label + kept, label, length);
  slot->label_bytes = static_cast<uint16_t>(kept + length);
}

// The stack that opens, and its tally.
struct Opening {
  uint32_t stack;
  uint32_t reference;  // of the tally; 0, null: none was to be had
  protocol::HandleTally* tally;
};

Opening OpeningOf(uint32_t stack, uint32_t reference) {
  return {stack, reference, reference == 0 ? nullptr : HandleTallyAt(reference)};
}

// Fills a slot (null: none was to be had), makes it live, and swings the number's entry to it.
[[gnu::always_inline]] inline void Publish(int fd, const HandleDescription& description, HandleSlot* slot, const Opening& opening,
                                           uint32_t thread) {
  uint64_t* word = FindDescriptor(fd);
  if (__builtin_expect(word == nullptr, 0)) word = EnsureDescriptor(fd);
  if (word == nullptr || slot == nullptr) {
    if (slot != nullptr) GiveHandleSlot(slot);
    CountLoss(0);
    return Retire(TakeDescriptor(fd));
  }
  uint64_t generation = protocol::GenerationOf(sys::LoadRelaxed(&slot->state)) + 1;
  sys::StoreRelaxed(&slot->state, protocol::PackState(generation, SlotState::kFilling));
  sys::StoreRelease(&slot->stack_birth, protocol::PackStack(opening.stack, NowTick()));
  slot->fd = fd;
  slot->type = static_cast<uint8_t>(description.type);
  slot->flags = description.flags;
  slot->thread = thread;
  slot->tally = opening.reference;
  slot->inode = 0;
  CopyLabel(slot, description.label, description.label_bytes);
  CountOpened(opening.tally);
  SetState(slot, SlotState::kLive);
  const DescriptorEntry before = ExchangeDescriptor(word, PackEntry(slot, Generation(), description.type, false));
  if (__builtin_expect(bool{before}, 0)) Retire(before);
}

// What a forked child opens that will serve, and one that is about to exec does not: a prefork worker goes to sleep in
// its event loop after a handful of calls, and would not be seen before its first requests.
bool MeansToLive(HandleType type) {
  switch (type) {
    case HandleType::kTcp:
    case HandleType::kUdp:
    case HandleType::kUnix:
    case HandleType::kSocket:
    case HandleType::kEpoll:
    case HandleType::kEventfd:
    case HandleType::kTimerfd:
    case HandleType::kSignalfd: return true;
    default: return false;
  }
}

constexpr uint64_t kVisitsBeforePaths = 64;  // a thread of a few openings has no use for 10 KiB
constexpr uint16_t kMostPatience = 1023;

[[gnu::noinline]] Opening WalkedOpening(ThreadState* state, const unwind::Registers* caller, HandleType type, OpeningPlace* place) {
  if (state->paths == nullptr && state->visits > kVisitsBeforePaths) {
    state->paths = static_cast<unwind::PathCache*>(sys::Carve(sizeof(unwind::PathCache)));
  }
  const uint32_t stack = CaptureStack(state, caller);
  if (place == nullptr || stack != place->stack) {
    const Opening opening = OpeningOf(stack, HandleTallyOf(stack, type));
    if (place == nullptr) return opening;
    place->walk.Forget();
    place->stack = opening.reference == 0 ? 0 : stack;
    place->reference = opening.reference;
    place->tally = opening.tally;
    place->waited = place->patience = 0;
    return opening;
  }
  // The same again: worth keeping. Where that does not help (the stack lies elsewhere each time), ever more rarely.
  if (place->waited++ >= place->patience) {
    KeepWalk(state, *caller, &place->walk);
    place->waited = 0;
    if (place->patience < kMostPatience) place->patience = static_cast<uint16_t>(2 * place->patience + 1);
  }
  return {stack, place->reference, place->tally};
}

[[gnu::always_inline]] inline Opening OpeningBy(ThreadState* state, const unwind::Registers* caller, HandleType type) {
  if (__builtin_expect(caller == nullptr, 0)) return WalkedOpening(state, caller, type, nullptr);
  OpeningPlace* place = &state->opening_places[((caller->pc ^ caller->sp) * 0x9E37'79B9'7F4A'7C15u) >> (64 - kOpeningPlaceBits)];
  if (__builtin_expect(place->walk.Holds(*caller, unwind::CurrentEpoch()), 1)) return {place->stack, place->reference, place->tally};
  return WalkedOpening(state, caller, type, place);
}

void OpenedVisiting(int fd, const HandleDescription& description, const unwind::Registers* caller) {
  ThreadState* state = EnsureThreadState();
  if (state == nullptr) {
    CountLoss(0);
    return Retire(TakeDescriptor(fd));
  }
  VisitBegin(state);
  const Opening opening = OpeningBy(state, caller, description.type);
  Publish(fd, description, Take(state), opening, state->index);
  VisitEnd(state);
  if (__builtin_expect(g_process.parent_pages != nullptr, 0) && MeansToLive(description.type)) ConnectChild();
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
LEAKHUNT_HOT bool MayRetire() {
  if (!Recording() || sys::LoadAcquire(&g_process.mode) != Mode::kRecording || InSharedMemoryChild()) return false;
  if (__builtin_expect(ProcessIsAlive(), 1)) return true;
  if (!Enter()) return false;
  Leave();
  return true;
}

[[gnu::noinline]] bool LookAtPid() {
  if (sys::LoadAcquire(&g_process.mode) != Mode::kRecording || !ProcessIsAlive()) return false;
  if (static_cast<uint32_t>(sys::GetPid()) != g_process.pid) return true;
  t_local.vforking = 0;  // on the thread itself again
  return false;
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
  t_local.vforking = 1;
}

void ChildrenShareMemory() { sys::StoreRelaxed(&g_process.children_share_memory, 1u); }

LEAKHUNT_HOT void HandleOpened(int fd, const HandleDescription& description, const unwind::Registers* caller) {
  if (fd < 0 || !Recording() || InSharedMemoryChild()) return;
  if (!Enter()) return OpenedInside(fd, description);
  if (Recording()) OpenedVisiting(fd, description, caller);
  Leave();
}

void HandleDuplicated(int from, int to, const unwind::Registers* caller) {
  if (to < 0 || !Recording() || InSharedMemoryChild()) return;
  HandleDescription description;
  DescriptorEntry entry = LoadDescriptor(from);
  if (entry && MayRetire()) entry = LoadDescriptor(from);  // a forked child's first visit renews the table
  if (entry && entry.Generation() == Generation()) {
    description.type = entry.Type();
    description.label = entry.Slot()->label;
    description.label_bytes = entry.Slot()->label_bytes;
  }
  description.flags = protocol::kHandleDuplicate;
  HandleOpened(to, description, caller);
}

LEAKHUNT_HOT void HandleClosing(int fd) {
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
  HandleSlot* slot = entry.Slot();
  __atomic_fetch_or(&slot->flags, flags, __ATOMIC_RELAXED);
  if (label != nullptr) CopyLabel(slot, label, ~uint64_t{0});
}

HandleType TrackedType(int fd) {
  DescriptorEntry entry = LoadDescriptor(fd);
  return entry ? entry.Type() : HandleType::kOther;
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
  ListParentsHandles();
}

void ListHandlesAtExit() {
  if ((g_process.options.track & protocol::kTrackHandles) != 0) ListDescriptorsAtExit();
}

}  // namespace leakhunt::core
