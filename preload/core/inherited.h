// Blocks that a forked child inherited: counted per stack in the child's own pages, lowered as the child frees them.
//
// The child's live table is a copy-on-write copy of its parent's; its entries keep the parent's process generation.
// They are summed once, when the child shows that it will live (it connects or ends), not record by record: 32
// prefork workers must not multiply a million records.
#pragma once

#include "preload/core/live_table.h"

namespace leakhunt::core {

// Publishes the sums. Once a process; does nothing in one that was not forked. Caller is busy.
void PublishInherited();

// A block recorded under another generation is gone.
void InheritedFreed(const Payload& payload);

void ForgetInherited();

}  // namespace leakhunt::core
