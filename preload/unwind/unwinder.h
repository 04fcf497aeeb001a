// Stack walking inside the guest: from registers to return addresses, without libc, locks or allocation.
//
// Runs on any thread of the program, inside malloc, in signal handlers and in forked children. Reads memory of the
// thread's own stack (bounded by `limits`) and read-only unwind sections of loaded objects; writes only into its own
// tables and the caller's buffer. Never writes to the program's stack above its own frames, never blocks. Little of that stack is
// used: what needs much runs on a stack of leakhunt's own, and where system calls are forbidden the caller sees to it that
// there is room for 10 KiB (own_stack.h).
#pragma once

#include <cstddef>
#include <cstdint>

namespace leakhunt::unwind {

// What a function with a frame pointer finds of its caller's state without looking further.
struct CallerRegisters {
  uint64_t pc;  // address execution will return to: first frame of the result
  uint64_t sp;  // CFA of the frame that called pc's callee, i.e. sp in the caller right after the call returned
  uint64_t rbp;
};

// Callee-saved machine state at the frame to start from (x86-64; aarch64 has its own arm in registers.h).
struct Registers : CallerRegisters {
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

// Walks from `start`. pcs[0] = start.pc. Frames interrupted by a signal have protocol::kFrameExactPc set; start.pc may
// have it too (a pc that was sampled rather than returned to). start.sp must lie in `limits`, else kBadFrame with one
// frame: the thread has changed stacks, find the limits again. rbx and r12-r15 of `start` are used by the few frames
// whose rule names them, and only when the walk does not start above the caller of Walk.
WalkResult Walk(const Registers& start, const StackLimits& limits, uint64_t* pcs, uint32_t max_frames);

class PathCache;  // path_cache.h: zeroed memory is an empty one

// As Walk, and never with another result, at the cost of a load and a comparison for each frame that this thread has seen
// in such a stack before. `*known`: where the cache keeps the caller's own word for exactly this stack (same frames, same
// stop; 0 at first, until the next unload of an object or until the cache is emptied), valid until the next walk; null
// when the stack is not kept. With a word other than 0 `pcs` is not written.
WalkResult WalkKnown(const Registers& start, const StackLimits& limits, PathCache* cache, uint64_t* pcs,
                     uint32_t max_frames, uint32_t** known);

// Limits of the stack that `sp` lies on: pthread, main, alternate signal or a coroutine's. Cached per thread by the
// caller. False when unknown (no /proc, foreign stack): the caller then records an unknown stack.
bool FindStackLimits(uint64_t sp, StackLimits* limits);

// A loaded object, as the walk first met it.
struct ModuleInfo {
  uint64_t start, end, bias;
  const uint8_t* build_id;  // a copy, as is `path`: the object may be unmapped when a forked child reads them; null = none
  uint32_t build_id_bytes;
  const char* path;         // NUL-terminated; cut at 1,024 bytes
  uint32_t epoch;           // epoch it was first seen in
};

// Called once for each module before any pc inside it is returned by Walk, on the walking thread; must not allocate
// by the hooks, block or walk. `handle` is passed to the unload callback.
using ModuleSeen = void (*)(const ModuleInfo& module, uint32_t module_handle);
using ModuleGone = void (*)(uint32_t module_handle, uint32_t new_epoch);
void SetModuleCallbacks(ModuleSeen seen, ModuleGone gone);

// Visits every module announced so far and not gone: a forked child has to tell its own pages about them.
void ForEachModule(ModuleSeen visit);

// To be called once before any Walk, at a moment when the loader's lock may be taken (constructor or first use).
void Initialize();

// To be called after a successful dlclose: objects that are gone leave the tables, `Epoch` rises, caches are dropped.
void AfterUnload();
uint32_t Epoch();

// State of the function that calls this, seen from its caller: for a hook that the program calls (or that tail-calls
// on). Costs a frame pointer in that function.
[[gnu::always_inline]] inline void CaptureCaller(CallerRegisters* registers) {
  const auto* frame = static_cast<const uint64_t*>(__builtin_frame_address(0));
  registers->rbp = frame[0];
  registers->pc = frame[1];
  registers->sp = reinterpret_cast<uint64_t>(frame + 2);
}

// As a walk wants it. rbx and r12-r15 are 0: a walk that needs them finds them itself.
inline void SetRegisters(Registers* registers, const CallerRegisters& caller) {
  registers->pc = caller.pc, registers->sp = caller.sp, registers->rbp = caller.rbp;
  registers->rbx = registers->r12 = registers->r13 = registers->r14 = registers->r15 = 0;
}
inline Registers RegistersOf(const CallerRegisters& caller) {
  Registers registers;
  SetRegisters(&registers, caller);
  return registers;
}

// State right here, with an exact pc.
[[gnu::always_inline]] inline void CaptureHere(Registers* registers) {
#if defined(__x86_64__)
  asm volatile(
      "lea 0(%%rip), %%rax\n\t"
      "mov %%rax, 0(%0)\n\t"
      "mov %%rsp, 8(%0)\n\t"
      "mov %%rbp, 16(%0)\n\t"
      "mov %%rbx, 24(%0)\n\t"
      "mov %%r12, 32(%0)\n\t"
      "mov %%r13, 40(%0)\n\t"
      "mov %%r14, 48(%0)\n\t"
      "mov %%r15, 56(%0)"
      :
      : "r"(registers)
      : "rax", "memory");
  registers->pc |= uint64_t{1} << 63;  // protocol::kFrameExactPc
#endif
}

// State of the first frame outside the object this library is linked into, reached from `limits`' stack's current
// position through our own frames, however many. For code too deep in a hook for CaptureCaller. False: not found.
bool CaptureOutside(const StackLimits& limits, Registers* registers);

// How often walks left the quick path, monotone, process-wide: what the report shows of the unwinder's own health.
struct WalkCounters {
  uint64_t general_walks;       // walked again with all registers
  uint64_t frame_pointer_steps; // frames without CFI, to within 256 a thread
  uint64_t unsupported;         // walks ended by a CFI construct outside the supported set
  uint64_t bad_frames;          // walks ended by a frame that could not be
  uint64_t decoded_rows;        // rules made from unwind sections: misses of the rule cache
};
WalkCounters Counters();

}  // namespace leakhunt::unwind
