// A signal handler that interrupted leakhunt may jump (siglongjmp, setcontext, an exception) to where leakhunt's frame is gone.
// Its busy mark is void then, as are the locks that it held; else the thread would record nothing for the rest of its life.
//
// The mark says where the frame lay (MarkBusy). Stacks grow downwards: while the frame lives, what runs above it on its own stack
// is nothing; a handler runs below it, or on an alternate stack.
#pragma once

#include <cstdint>

namespace leakhunt::core {

// The program is about to jump to where the stack pointer is `target`, from where it is `here`. Before the jump.
void JumpsTo(uint64_t target, uint64_t here);

// True when the frame that marked the thread busy is gone, and the mark with it: `caller`, the stack pointer of the hook that
// found the mark, is not below. For jumps that no hook sees.
bool LeftVisit(uint64_t caller);

}  // namespace leakhunt::core
