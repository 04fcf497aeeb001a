// At the memory bound: raising T_floor and giving back the slots of records that the reader drops anyway.
#pragma once

#include "preload/core/thread_state.h"

namespace leakhunt::core {

// Thins the calling thread's own runs by the rule of protocol/thinning.h at the present T_floor, after raising the
// floor when it had been applied to them before. Deterministic and unbiased: the reader applies the same rule to
// records that no thread has reached yet. Caller is busy.
void ThinRuns(ThreadState* state);

}  // namespace leakhunt::core
