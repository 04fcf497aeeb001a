// What a forked child inherited, per stack: weights that its frees lower, instead of a record for each block.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "collector/ledger/page_directory.h"
#include "collector/ledger/page_file.h"
#include "collector/ledger/stack_parts.h"
#include "collector/snapshot/model.h"
#include "preload/protocol/layout.h"

namespace leakhunt::ledger {

struct InheritedBlocks {
  uint32_t stack = 0;  // the child's reference
  protocol::BlockKind kind = protocol::BlockKind::kHeap;
  // The variance is that of the whole inheritance, an upper bound once some of it is freed; the largest weight is
  // taken as the mean weight.
  snapshot::Weighted bytes, count;
  int64_t oldest_birth_ms = 0;
  uint64_t freed_samples = 0;
};

// Calls visit(const protocol::InheritedTally&) for every entry in use, unchecked.
void ForEachInherited(const PageFile& file, const PageDirectory& directory,
                      const std::function<void(const protocol::InheritedTally&)>& visit);

// Of the stacks in `range`. Entries that make no sense are left out and counted in `refused`.
std::vector<InheritedBlocks> ReadInheritedBlocks(const PageFile& file, const PageDirectory& directory, StackRange range,
                                                 uint64_t* refused);

}  // namespace leakhunt::ledger
