// The handle rows of a snapshot: one a (type, call site), with ages, examples and totals.
#pragma once

#include <cstdint>
#include <vector>

#include "collector/ledger/handle_reconciler.h"
#include "collector/ledger/handle_slots.h"
#include "collector/ledger/name_tables.h"
#include "collector/ledger/process_clock.h"
#include "collector/ledger/sightings.h"
#include "collector/ledger/stack_table.h"
#include "collector/snapshot/model.h"

namespace leakhunt::ledger {

inline constexpr size_t kBirthsKept = 512;
inline constexpr size_t kExamplesKept = 16;

struct HandleRowsInput {
  Reconciled* reconciled = nullptr;  // its open handles are taken
  const std::vector<HandleTotalsOfStack>* totals = nullptr;
  const std::vector<std::pair<uint32_t, snapshot::HandleType>>* closed_types = nullptr;
  int64_t now_ms = 0;
};

// Fills handle_sites, untracked, handles_by_type and handle_totals (but its limit) of `out`. Totals are known by
// stack, and stand in the first row of a stack; a stack with totals and nothing open has a row of the type its closed
// handles had.
void FillHandles(const HandleRowsInput& input, const StackTable& stacks, const ProcessClock& clock,
                 ThreadTable* threads, Sightings* sightings, snapshot::Snapshot* out);

}  // namespace leakhunt::ledger
