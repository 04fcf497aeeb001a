// The rows of a snapshot: one a call site, out of live blocks, totals and inheritance.
//
// A row is (kind, stack content, scope, inherited). Live figures come from records alone. Totals, deaths and
// lifetimes are known by stack, not by scope, and stand in the stack's row of scope 0, which is made when no live
// block did; a stack whose blocks are all gone has a row too. What moved during the sweep is known by stack as well
// and bounds every row of it.
#pragma once

#include <cstdint>
#include <vector>

#include "collector/ledger/block_sums.h"
#include "collector/ledger/inherited_blocks.h"
#include "collector/ledger/key_index.h"
#include "collector/ledger/name_tables.h"
#include "collector/ledger/process_clock.h"
#include "collector/ledger/sightings.h"
#include "collector/ledger/stack_table.h"
#include "collector/ledger/tally_sums.h"
#include "collector/snapshot/model.h"

namespace leakhunt::ledger {

class SiteRows {
 public:
  SiteRows(const StackTable& stacks, const ProcessClock& clock) : stacks_(stacks), clock_(clock) {}

  // Room for this many rows.
  void Reserve(size_t rows) { rows_.reserve(rows); }

  // `scopes` numbers the scopes met.
  void AddBlocks(BlockSums blocks, ScopeTable* scopes);

  // `before` may be null: the process is dead, nothing moved.
  void AddTallies(const TallySums* before, const TallySums& after);

  void AddInherited(const std::vector<InheritedBlocks>& inherited);

  // The rows, largest live first.
  std::vector<snapshot::Site> Finish(ThreadTable* threads, Sightings* sightings, int64_t now_ms);

 private:
  struct Row {
    SiteSum live;
    TallySum totals;
    Moved moved;
    bool has_totals = false;
    uint64_t inherited_freed_samples = 0;
    int64_t inherited_oldest_ms = 0;
  };

  Row& RowOf(uint32_t stack, snapshot::SiteKind kind, uint32_t scope, bool inherited);
  void ShareStackFigures();
  snapshot::Site Describe(uint64_t key, Row* row, ThreadTable* threads) const;
  void FillTotals(const Row& row, snapshot::Site* site) const;
  void FillCohorts(const Row& row, snapshot::Site* site) const;
  void Date(const Row& row, Sightings* sightings, int64_t now_ms, snapshot::Site* site) const;

  const StackTable& stacks_;
  ProcessClock clock_;
  KeyIndex index_;
  std::vector<Row> rows_;
};

}  // namespace leakhunt::ledger
