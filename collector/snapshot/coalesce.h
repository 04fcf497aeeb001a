// One stack, one entry; one site, one row.
//
// The collector forgets a stack when it has written it, so a file may hold a stack of the same content twice, and a row for
// each (FORMAT.md). Readers want one.
#pragma once

#include "collector/snapshot/model.h"

namespace leakhunt::snapshot {

// Adds the figures of `from`, times and lifetimes included, to those of `into`; leaves cohorts and threads alone.
void AddFigures(const Site& from, Site* into);

// Makes stacks of equal content one, and the rows of one (kind, stack, scope, inherited). Every index is valid before and
// after. A snapshot without repeats is not changed.
void Coalesce(Snapshot* snapshot);

}  // namespace leakhunt::snapshot
