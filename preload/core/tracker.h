// The events of a recorded block: born, freed, resized. Called by the hooks, on the program's threads.
//
// Every function keeps errno, takes no lock across a call into the program, and is safe to call at any moment of a
// process's life: before initialisation, inside dlsym, in signal handlers, in fork and vfork children, after exit
// handlers. At a moment when recording is impossible it does nothing, or counts a loss.
#pragma once

#include <cstdint>

#include "preload/core/address_filter.h"
#include "preload/core/live_table.h"
#include "preload/core/thread_state.h"
#include "preload/sys/hot.h"

namespace leakhunt::core {

LEAKHUNT_HIDDEN extern constinit AddressFilter g_filter;

// ---- the common path, inlined into the hooks

// True: the block is not sampled, nothing to do after the real call but CheckReturned.
inline bool CountDown(uint64_t size_bytes) {
  ThreadLocal& local = t_local;
  if (__builtin_expect(size_bytes < local.countdown, 1)) {
    local.countdown -= size_bytes;
    return true;
  }
  return false;
}

// True when a recorded block may start at `address`.
inline bool MayBeRecorded(uint64_t address) {
  return __builtin_expect(g_filter.MayHold(address), 0);
}

// ---- the slow path

void InitializeTracker();

// After the real allocation succeeded and CountDown said false. `caller`: the program's frame that called the hook, as
// unwind::CaptureCaller gave it; null: found by walking out of our own frames.
void BlockBornSlow(uint64_t address, uint64_t size_bytes, const unwind::Registers* caller);
// Before the real free, when MayBeRecorded.
void BlockFreedSlow(uint64_t address);
// After a real allocation returned [address, address + size_bytes) without being sampled, when MayBeRecorded: records of
// blocks that start there are stale. Their frees were never seen.
void RetireStaleSlow(uint64_t address, uint64_t size_bytes);
// After the program mapped [start, start + bytes): what the allocator had there was given back out of sight.
void RetireUnderMapping(uint64_t start, uint64_t bytes);

// A resize in progress: taken out before the real realloc, settled after it.
struct Resize {
  LiveTable::Entry entry;
  uint64_t old_address = 0;
};
Resize ResizeBeginSlow(uint64_t address);
enum class ResizeOutcome : uint8_t { kMoved, kFailed, kFreed };
// kMoved: block now at `address` with `size_bytes`. `sampled`: CountDown said false.
void ResizeEndSlow(const Resize& resize, ResizeOutcome outcome, uint64_t address, uint64_t size_bytes, bool sampled,
                   const unwind::Registers* caller);

// ---- for the other kinds of recorded blocks (mappings, threads); caller is busy

// Fills and publishes a slot taken by TakeSlot.
void FillSlot(ThreadState* state, protocol::RecordSlot* slot, uint64_t address, uint64_t size_interval, uint32_t stack,
              uint32_t birth_tick, protocol::BlockKind kind);
void TallyBorn(ThreadState* state, uint32_t stack, protocol::BlockKind kind, uint64_t size_interval, uint32_t birth_tick);
void TallyDied(ThreadState* state, uint32_t stack, protocol::BlockKind kind, uint64_t size_interval, uint32_t birth_tick);
// Bytes given back without a death: a mapping cut smaller.
void TallyShrunk(ThreadState* state, uint32_t stack, protocol::BlockKind kind, uint64_t bytes);

}  // namespace leakhunt::core
