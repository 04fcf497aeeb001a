// Open descriptors as recorded handles: an id per opening, never sampled, async-signal-safe.
//
// The hooks tell, on the program's threads: after a call opened a descriptor, before a call closes one. An opening puts
// a slot into the shared pages and its reference into the descriptor table; whoever takes it out of the table retires
// the slot. Nothing is held over the real calls. In a signal handler that interrupted leakhunt a handle is recorded
// without a stack; in a vfork child, whose descriptors are not the program's though its memory is, nothing is.
#pragma once

#include <cstdint>

#include "preload/core/descriptor_table.h"
#include "preload/protocol/layout.h"
#include "preload/sys/hot.h"
#include "preload/unwind/unwinder.h"

namespace leakhunt::core {

inline constexpr uint32_t kUpToNul = ~0u;

struct HandleDescription {  // 16 bytes: passed in registers
  const char* label = nullptr;  // may be null; its end is kept when it is too long
  uint32_t label_bytes = kUpToNul;  // or its length: of more than protocol::kLabelBytes only with a NUL there
  protocol::HandleType type = protocol::HandleType::kOther;
  uint8_t flags = 0;            // protocol::HandleFlags
};

// After the real call made `fd`; negative ones are ignored. What the table still had there was closed out of sight.
// `caller`: the code that called the hook, when it noted that.
void HandleOpened(int fd, HandleDescription description, const unwind::CallerRegisters* caller);
// The same where OpenedAsUsual (usual_handles.h) has said no.
LEAKHUNT_ASIDE void HandleOpenedSomehow(int fd, const HandleDescription& description, const unwind::CallerRegisters* caller);
// After dup, dup2, dup3, fcntl: `to` is a copy of `from`, whatever was at `to` is closed.
void HandleDuplicated(int from, int to, const unwind::CallerRegisters* caller);
// Before the real close.
void HandleClosing(int fd);
LEAKHUNT_ASIDE void HandleClosingSomehow(int fd);  // where ClosingAsUsual has said no
void HandlesClosing(uint32_t first, uint32_t last);

// For calls that close or keep, which is known only afterwards (freopen): taken out before, then gone or put back.
DescriptorEntry HandleTaken(int fd);
void HandleGone(DescriptorEntry entry);
void HandlePutBack(int fd, DescriptorEntry entry);

// Adds flags, and a label when it is not null, to the handle at `fd`.
void HandleNoted(int fd, uint8_t flags, const char* label);
// What the table knows of `fd`; kOther when it is not tracked.
protocol::HandleType TrackedType(int fd);

// A vfork child runs in its parent's memory on the parent's thread: before vfork, the thread is told to look at the pid
// until it is itself again. `ChildrenShareMemory`: the same for clone(CLONE_VM), for good, on all threads.
void VforkBegins();
void ChildrenShareMemory();
// A thread has, or will have, a descriptor table of its own (clone without CLONE_FILES); `DescriptorsUnshared`: the calling
// thread, after unshare. From now on each call about a descriptor asks the kernel whose table it is about.
void DescriptorTablesDiffer();
void DescriptorsUnshared();
// True when the caller is such a child or thread: what it opens and closes is not in the table that /proc/PID/fd lists.
bool InSharedMemoryChild();

// What is recorded, whether a forked child is connected, or whether there is a list at exit has changed:
// Process::usual_openings follows.
void OpeningsAreUsual();

// leakhunt's own descriptor has another number now (-1: lost).
void OwnDescriptorMoved(int from, int to);

// Called at start. `list_inherited`: what is open already is listed as inherited; not so where the program was running
// before, and it is anyone's.
void InitializeHandles(bool list_inherited);
// In a forked child: all handles so far are inherited.
void HandlesAfterFork();
// At exit: lists what is open, within a bounded time.
void ListHandlesAtExit();

}  // namespace leakhunt::core
