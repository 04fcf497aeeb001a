// The rows of a snapshot: one a call site, out of live blocks, totals and inheritance.
//
// A row is (kind, stack content, scope, inherited). Live figures come from records alone. Totals, deaths and
// lifetimes are known by stack, not by scope, and stand in the stack's row of scope 0, which is made when no live
// block did; a stack whose blocks are all gone has a row too. What moved during the sweep is known by stack as well
// and bounds every row of it. Rows are made part by part (stack_parts.h).
#pragma once

#include <cstdint>
#include <deque>
#include <vector>

#include "collector/ledger/block_sums.h"
#include "collector/ledger/inherited_blocks.h"
#include "collector/ledger/key_index.h"
#include "collector/ledger/name_tables.h"
#include "collector/ledger/process_clock.h"
#include "collector/ledger/sightings.h"
#include "collector/ledger/stack_table.h"
#include "collector/ledger/tally_sums.h"
#include "collector/snapshot/rows.h"

namespace leakhunt::ledger {

class SiteRows {
 public:
  SiteRows(const StackTable& stacks, const ProcessClock& clock) : stacks_(stacks), clock_(clock) {}

  // `scopes` numbers the scopes met.
  void AddBlocks(BlockSums blocks, ScopeTable* scopes);

  // `before` may be null: the process is dead, nothing moved.
  // `memory`: what mappings held, which is what their totals count.
  void AddTallies(const TallyMarks* before, TallySums after, const MappingMemory& memory);

  void AddInherited(const std::vector<InheritedBlocks>& inherited);

  // Hands on the rows, largest live first; those of which nothing lives come last, in no order. `sightings` keeps
  // what the pages do not tell: when a scope was first and last seen.
  void Finish(ThreadTable* threads, Sightings* sightings, int64_t now_ms, snapshot::Rows* rows);

 private:
  static constexpr uint32_t kNone = 0xFFFF'FFFF;

  // There may be a hundred thousand rows, most of them of stacks whose blocks are all gone: a row says where its parts are.
  struct Row {
    uint32_t live = kNone;       // in live_, or beyond them in inherited_live_
    uint32_t totals = kNone;     // in totals_, or beyond them in least_totals_
    uint32_t moved = kNone;      // in moved_
    uint32_t inherited = kNone;  // in inherited_
    uint32_t first_tick = StackTable::kNeverMet;
  };
  struct InheritedPart {
    uint64_t freed_samples = 0;
    int64_t oldest_ms = 0;
  };

  SiteSum& LiveAt(uint32_t number);
  const SiteSum& LiveOf(const Row& row) const;
  TallySum& TotalsAt(uint32_t number);
  const TallySum* TotalsOf(uint32_t row) const;
  Row& RowOf(uint32_t stack, snapshot::SiteKind kind, uint32_t scope, bool inherited);
  Row& RowOfReference(uint32_t reference, protocol::BlockKind kind, uint32_t scope);
  void ShareStackFigures();
  std::vector<uint32_t> Order() const;
  void Describe(uint32_t number, ThreadTable* threads, snapshot::Site* site);
  static void FillTotals(const TallySum& totals, const Moved& moved, snapshot::Site* site);
  void FillCohorts(const Row& row, snapshot::Site* site) const;
  void Date(uint32_t number, Sightings* sightings, int64_t now_ms, snapshot::Site* site) const;

  const StackTable& stacks_;
  ProcessClock clock_;
  KeyIndex index_;
  std::vector<Row> rows_;
  std::vector<SiteSum> live_;  // of the records
  std::deque<SiteSum> inherited_live_;
  std::vector<TallySum> totals_;       // the stacks' own
  std::deque<TallySum> least_totals_;  // of stacks that have no tally
  std::deque<Moved> moved_;
  std::deque<InheritedPart> inherited_;
};

}  // namespace leakhunt::ledger
