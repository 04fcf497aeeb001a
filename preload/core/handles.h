// Open descriptors as recorded handles: an id per opening, never sampled, async-signal-safe.
#pragma once

#include <cstdint>

#include "preload/protocol/layout.h"

namespace leakhunt::core {

// Called at start: lists what is open already (inherited).
void InitializeHandles();
// In a forked child: all handles so far are inherited.
void HandlesAfterFork();
// At exit: lists what is open, within a bounded time.
void ListHandlesAtExit();

}  // namespace leakhunt::core
