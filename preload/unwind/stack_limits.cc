// How far a walk may read: the mapping that the stack pointer lies in.
//
// One rule serves pthread stacks, the main stack, alternate signal stacks and coroutines: a stack is a writable
// mapping. Two refinements: a thread's control block lies above its stack in the same mapping and ends it; the main
// stack's mapping grows down, as far as RLIMIT_STACK, and its limits say so: a walk reads from its stack pointer up
// only.
#include <sys/resource.h>

#include "preload/sys/own_stack.h"
#include "preload/sys/syscall.h"
#include "preload/sys/text.h"
#include "preload/unwind/memory_maps.h"
#include "preload/unwind/unwinder.h"

namespace leakhunt::unwind {
namespace {

// The thread control block: its first word points to itself (x86-64 ABI, both libcs).
uint64_t ThreadControlBlock() {
  uint64_t address = 0;
#if defined(__x86_64__)
  asm("mov %%fs:0, %0" : "=r"(address));
#endif
  return address;
}

constexpr uint64_t kMostStackBytes = 256 << 20;

uint64_t LowestOfMainStack(const Mapping& mapping) {
  rlimit limit{};
  if (sys::Failed(sys::Call(SYS_prlimit64, 0, RLIMIT_STACK, 0, sys::Word(&limit)))) return mapping.start;
  uint64_t bytes = limit.rlim_cur < kMostStackBytes ? limit.rlim_cur : kMostStackBytes;
  return mapping.end - bytes < mapping.start ? mapping.end - bytes : mapping.start;
}

}  // namespace

namespace {

bool FindDeeply(uint64_t sp, StackLimits* limits) {
  Mapping mapping;
  if (!FindMapping(sp, &mapping) || !mapping.readable || !mapping.writable) return false;
  *limits = {mapping.start, mapping.end};
  if (sys::Equal(mapping.path, "[stack]")) limits->low = LowestOfMainStack(mapping);
  uint64_t block = ThreadControlBlock();
  if (block > sp && block < mapping.end) limits->high = block & ~uint64_t{7};
  return true;
}

}  // namespace

bool FindStackLimits(uint64_t sp, StackLimits* limits) {
  bool found = false;
  return sys::OnOwnStack([&] { found = FindDeeply(sp, limits); }) && found;
}

}  // namespace leakhunt::unwind
