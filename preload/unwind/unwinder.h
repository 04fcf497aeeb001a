// Stack walking inside the guest: from registers to return addresses, without libc, locks or allocation.
//
// Runs on any thread of the program, inside malloc, in signal handlers and in forked children. Reads memory of the
// thread's own stack (bounded by `limits`) and read-only unwind sections of loaded objects; writes only into its own
// tables and the caller's buffer. Never touches the program's stack, never blocks.
#pragma once

#include <cstddef>
#include <cstdint>

namespace leakhunt::unwind {

// Callee-saved machine state at the frame to start from (x86-64; aarch64 has its own arm in registers.h).
struct Registers {
  uint64_t pc;  // address execution will return to: first frame of the result
  uint64_t sp;  // CFA of the frame that called pc's callee, i.e. sp in the caller right after the call returned
  uint64_t rbp;
  uint64_t rbx, r12, r13, r14, r15;
};

// [low, high): memory the walk may read. CFA must rise strictly and stay inside.
struct StackLimits {
  uint64_t low, high;
};

enum class StopReason : uint8_t {
  kBottom,       // the outermost frame (undefined return address, or pc 0)
  kDepth,        // `max_frames` reached; more existed
  kNoRule,       // pc in no module and no usable frame pointer
  kBadFrame,     // CFA not rising, outside the limits, or unaligned
  kUnsupported,  // a CFI construct outside the supported set
};

struct WalkResult {
  uint32_t frames;
  StopReason stop;
};

// Walks from `start`. pcs[0] = start.pc. Frames interrupted by a signal have protocol::kFrameExactPc set.
WalkResult Walk(const Registers& start, const StackLimits& limits, uint64_t* pcs, uint32_t max_frames);

// Limits of the stack that `sp` lies on: pthread, main, alternate signal or a coroutine's. Cached per thread by the
// caller. False when unknown (no /proc, foreign stack): the caller then records an unknown stack.
bool FindStackLimits(uint64_t sp, StackLimits* limits);

// A loaded object, as the walk first met it.
struct ModuleInfo {
  uint64_t start, end, bias;
  const uint8_t* build_id;  // in the object's mapped notes; null = none
  uint32_t build_id_bytes;
  const char* path;         // NUL-terminated, valid until it is unloaded
  uint32_t epoch;           // epoch it was first seen in
};

// Called once for each module before any pc inside it is returned by Walk, on the walking thread; must not allocate
// by the hooks, block or walk. `handle` is passed to the unload callback.
using ModuleSeen = void (*)(const ModuleInfo& module, uint32_t module_handle);
using ModuleGone = void (*)(uint32_t module_handle, uint32_t new_epoch);
void SetModuleCallbacks(ModuleSeen seen, ModuleGone gone);

// To be called once before any Walk, at a moment when the loader's lock may be taken (constructor or first use).
void Initialize();

// To be called after a successful dlclose: objects that are gone leave the tables, `Epoch` rises, caches are dropped.
void AfterUnload();
uint32_t Epoch();

}  // namespace leakhunt::unwind
