// Makes the rule for an address from the unwind sections of its module: the slow side of the rule cache.
#pragma once

#include <cstdint>

#include "preload/unwind/cfi_row.h"
#include "preload/unwind/rule_cache.h"

namespace leakhunt::unwind {

// The rule for `lookup` (packed_rule.h), from the cache or decoded and entered there. 0: in no module. `scratch` takes
// a row that could not be stored; the rule may point to it.
uint64_t RuleFor(const RuleTable& table, uint64_t lookup, Row<X86_64>* scratch);

// How many rules were decoded so far.
uint64_t DecodedRows();

}  // namespace leakhunt::unwind
