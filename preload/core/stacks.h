// Interning of call stacks and publication of loaded objects in the shared pages.
#pragma once

#include <cstdint>

#include "preload/core/thread_state.h"
#include "preload/unwind/unwinder.h"

namespace leakhunt::core {

struct ThreadState;

// The call stack of the code that called into leakhunt, as a stack reference; 0 when it is unknown (no stack limits,
// arena full, called from inside leakhunt). leakhunt's own frames are left out. `from`: the first frame outside, when
// the hook noted it (unwind::CaptureCaller); null: found by walking. Caller is busy.
uint32_t CaptureStack(ThreadState* state, const unwind::Registers* from = nullptr);

// Keeps the walk from `from` in `memo`, for where CaptureStack has just found the stack of it. Caller is busy.
void KeepWalk(ThreadState* state, const unwind::Registers& from, unwind::WalkMemo* memo);

// The first frame of the last CaptureStack of this thread: the code that called into leakhunt; 0 unknown.
uint64_t InnermostPc(const ThreadState* state);

// The stack of no frames: for what happens where no walk is possible.
uint32_t UnknownStack();

// Interns `count` frames, innermost first. 0 at the bound. `last`: the calling thread's; null = without.
uint32_t InternStack(LastStack* last, const uint64_t* pcs, uint32_t count, uint16_t flags);

// Copies the frames of a stack of `pages` (this process's, or of a generation before it). Returns their number.
uint32_t ReadStack(const void* pages, uint32_t stack, uint64_t* pcs, uint32_t capacity);

// Sets up tables for a new process image or forked child; module records known so far are published again.
bool InitializeStacks();

// Registered with the unwinder.
void PublishModule(const unwind::ModuleInfo& module, uint32_t module_handle);
void RetireModule(uint32_t module_handle, uint32_t new_epoch);

}  // namespace leakhunt::core
