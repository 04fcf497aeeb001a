#include "collector/ledger/site_rows.h"

#include <algorithm>
#include <bit>
#include <numeric>
#include <tuple>

namespace leakhunt::ledger {

namespace {

constexpr uint64_t kInheritedBit = uint64_t{1} << 63;

snapshot::SiteKind SiteKindOf(protocol::BlockKind kind) {
  switch (kind) {
    case protocol::BlockKind::kMmap:
    case protocol::BlockKind::kShm:
      return snapshot::SiteKind::kMmap;
    case protocol::BlockKind::kThread:
      return snapshot::SiteKind::kThread;
    default:
      return snapshot::SiteKind::kHeap;
  }
}

constexpr uint64_t RowKey(uint32_t stack, snapshot::SiteKind kind, uint32_t scope, bool inherited) {
  return stack | (static_cast<uint64_t>(scope) << 32) | (static_cast<uint64_t>(kind) << 56) |
         (inherited ? kInheritedBit : 0);
}
constexpr uint32_t RowStack(uint64_t key) { return static_cast<uint32_t>(key); }
constexpr uint32_t RowScope(uint64_t key) { return static_cast<uint32_t>((key >> 32) & 0xFF'FFFF); }
constexpr snapshot::SiteKind RowKind(uint64_t key) { return static_cast<snapshot::SiteKind>((key >> 56) & 0x7F); }
constexpr bool RowInherited(uint64_t key) { return (key & kInheritedBit) != 0; }

void AddTally(const TallySum& from, TallySum* into) {
  into->samples += from.samples;
  into->born_bytes += from.born_bytes;
  into->born_count += from.born_count;
  into->born_bytes_variance += from.born_bytes_variance;
  into->born_count_variance += from.born_count_variance;
  into->died_samples += from.died_samples;
  into->died_bytes += from.died_bytes;
  into->may_be_more += from.may_be_more;
  into->last_birth_tick = std::max(into->last_birth_tick, from.last_birth_tick);
  into->lifetimes.Add(from.lifetimes.All());
}

// Of a mapping the guest tallies address space. What of it was in memory is known where it was read: the rest lies
// between nothing and all of it.
void CountMemory(const MappingMemory::Totals& memory, TallySum* totals) {
  const double unread = std::max(0.0, totals->born_bytes - memory.read_sizes);
  totals->may_be_more += unread;
  totals->born_bytes = memory.bytes;
  totals->died_bytes = 0;
}

void AddMoved(const Moved& from, Moved* into) {
  into->born_bytes += from.born_bytes;
  into->born_count += from.born_count;
  into->died_bytes += from.died_bytes;
  into->died_count += from.died_count;
}

// Sizes that moved, as the site's mappings are in memory.
void ScaleToMemory(const snapshot::Site& site, Moved* moved) {
  const double share = site.reserved_bytes > 0 ? std::min(1.0, site.live_bytes.value / site.reserved_bytes) : 0;
  moved->born_bytes *= share;
  moved->died_bytes *= share;
}

double MeanWeight(double value, double variance, uint64_t samples) {
  return variance == 0 || samples == 0 ? 0 : value / static_cast<double>(samples);
}

}  // namespace

SiteRows::Row& SiteRows::RowOf(uint32_t stack, snapshot::SiteKind kind, uint32_t scope, bool inherited) {
  const uint32_t number = index_.FindOrAdd(RowKey(stack, kind, scope, inherited));
  if (number == rows_.size()) rows_.emplace_back();
  return rows_[number];
}

SiteRows::Row& SiteRows::RowOfReference(uint32_t reference, protocol::BlockKind kind, uint32_t scope) {
  Row& row = RowOf(stacks_.IndexOf(reference), SiteKindOf(kind), scope, false);
  row.first_tick = std::min(row.first_tick, stacks_.FirstTickOf(reference));
  return row;
}

SiteSum& SiteRows::LiveAt(uint32_t number) {
  return number < live_.size() ? live_[number] : inherited_live_[number - live_.size()];
}

const SiteSum& SiteRows::LiveOf(const Row& row) const {
  static const SiteSum none;
  if (row.live == kNone) return none;
  return row.live < live_.size() ? live_[row.live] : inherited_live_[row.live - live_.size()];
}

TallySum& SiteRows::TotalsAt(uint32_t number) {
  return number < totals_.size() ? totals_[number] : least_totals_[number - totals_.size()];
}

// What row `number` shows as its stack's totals; null: nothing.
const TallySum* SiteRows::TotalsOf(uint32_t number) const {
  const uint64_t key = index_.KeyAt(number);
  const uint32_t totals = rows_[number].totals;
  if (totals == kNone || RowScope(key) != 0 || RowInherited(key)) return nullptr;
  return totals < totals_.size() ? &totals_[totals] : &least_totals_[totals - totals_.size()];
}

void SiteRows::AddBlocks(BlockSums blocks, ScopeTable* scopes) {
  live_ = blocks.TakeSums();
  for (uint32_t i = 0; i < live_.size(); ++i) {
    const uint64_t key = blocks.KeyAt(i);
    Row& row = RowOfReference(StackOfKey(key), KindOfKey(key), scopes->IndexOf(ScopeOfKey(key)));
    if (row.live == kNone) row.live = i;
    else live_[row.live].Merge(live_[i]);
  }
}

void SiteRows::AddTallies(const TallyMarks* before, TallySums after, const MappingMemory& memory) {
  totals_ = after.TakeSums();
  index_.Reserve(rows_.size() + totals_.size());
  rows_.reserve(rows_.size() + totals_.size());
  for (uint32_t i = 0; i < totals_.size(); ++i) {
    const uint64_t key = after.KeyAt(i);
    Row& row = RowOfReference(StackOfKey(key), KindOfKey(key), 0);
    if (before != nullptr) {
      const Moved moved = MovedBetween(before->Find(key), MarkOf(totals_[i]));
      if (moved.born_bytes != 0 || moved.born_count != 0 || moved.died_bytes != 0 || moved.died_count != 0) {
        if (row.moved == kNone) {
          row.moved = static_cast<uint32_t>(moved_.size());
          moved_.emplace_back();
        }
        AddMoved(moved, &moved_[row.moved]);
      }
    }
    if (KindOfKey(key) != protocol::BlockKind::kHeap) CountMemory(memory.TotalsOf(key), &totals_[i]);
    if (row.totals == kNone) row.totals = i;
    else AddTally(totals_[i], &totals_[row.totals]);
  }
}

void SiteRows::AddInherited(const std::vector<InheritedBlocks>& inherited) {
  for (const InheritedBlocks& blocks : inherited) {
    Row& row = RowOf(stacks_.IndexOf(blocks.stack), SiteKindOf(blocks.kind), 0, true);
    if (row.live == kNone) {
      row.live = static_cast<uint32_t>(live_.size() + inherited_live_.size());
      inherited_live_.emplace_back();
    }
    SiteSum& live = LiveAt(row.live);
    AddWeighted(&live.bytes, blocks.bytes);
    AddWeighted(&live.count, blocks.count);
    if (row.inherited == kNone) {
      row.inherited = static_cast<uint32_t>(inherited_.size());
      inherited_.emplace_back();
    }
    InheritedPart& part = inherited_[row.inherited];
    part.freed_samples += blocks.freed_samples;
    if (part.oldest_ms == 0 || blocks.oldest_birth_ms < part.oldest_ms) part.oldest_ms = blocks.oldest_birth_ms;
  }
}

// What is known by stack goes from the scope-0 row to its other scopes (movement), and a stack without a tally gets
// its live figures as the least its totals can be.
void SiteRows::ShareStackFigures() {
  const uint32_t rows = index_.size();
  for (uint32_t i = 0; i < rows; ++i) {
    const uint64_t key = index_.KeyAt(i);
    if (RowInherited(key)) continue;
    Row& first = RowScope(key) == 0 ? rows_[i] : RowOf(RowStack(key), RowKind(key), 0, false);
    Row& row = rows_[i];  // after RowOf, which may have moved the rows
    row.moved = first.moved;
    first.first_tick = std::min(first.first_tick, row.first_tick);
    if (first.totals != kNone && first.totals < totals_.size()) continue;
    if (first.totals == kNone) {
      first.totals = static_cast<uint32_t>(totals_.size() + least_totals_.size());
      least_totals_.emplace_back();
    }
    TallySum& totals = TotalsAt(first.totals);
    const SiteSum& live = LiveOf(row);
    totals.samples += live.bytes.samples;
    totals.born_bytes += live.bytes.value;
    totals.born_count += live.count.value;
    totals.born_bytes_variance += live.bytes.variance;
    totals.born_count_variance += live.count.variance;
    totals.last_birth_tick = std::max(totals.last_birth_tick, live.last_birth_tick);
  }
}

// What lives, largest first; ties by what does not depend on the order in which the guest wrote. Then what does not, as it
// stands in memory: that may be a quarter of a million rows that nobody looks at in any order.
std::vector<uint32_t> SiteRows::Order() const {
  struct Rank {
    double live;
    uint64_t content, key;
    uint32_t row;
  };
  std::vector<Rank> ranks;
  std::vector<uint32_t> dead;
  for (uint32_t row = 0; row < rows_.size(); ++row) {
    const uint64_t key = index_.KeyAt(row);
    const double live = LiveOf(rows_[row]).bytes.value;
    if (live > 0) ranks.push_back({live, stacks_.ContentHash(RowStack(key)), key, row});
    else dead.push_back(row);
  }
  std::sort(ranks.begin(), ranks.end(), [](const Rank& a, const Rank& b) {
    if (a.live != b.live) return a.live > b.live;
    if (a.content != b.content) return a.content < b.content;
    return std::tuple(RowKind(a.key), RowScope(a.key), RowInherited(a.key)) <
           std::tuple(RowKind(b.key), RowScope(b.key), RowInherited(b.key));
  });
  std::vector<uint32_t> order;
  order.reserve(rows_.size());
  for (const Rank& rank : ranks) order.push_back(rank.row);
  order.insert(order.end(), dead.begin(), dead.end());
  return order;
}

void SiteRows::Finish(ThreadTable* threads, Sightings* sightings, int64_t now_ms, snapshot::Rows* rows) {
  ShareStackFigures();
  for (const uint32_t i : Order()) {
    snapshot::Site site;
    Describe(i, threads, &site);
    Date(i, sightings, now_ms, &site);
    rows->Add(site);
  }
}

void SiteRows::Describe(uint32_t number, ThreadTable* threads, snapshot::Site* site) {
  const uint64_t key = index_.KeyAt(number);
  const Row& row = rows_[number];
  Moved moved = row.moved == kNone ? Moved{} : moved_[row.moved];
  site->kind = RowKind(key);
  site->stack = RowStack(key);
  site->scope = RowScope(key);
  site->inherited = RowInherited(key);
  site->live_bytes = LiveOf(row).bytes;
  site->live_count = LiveOf(row).count;
  site->reserved_bytes = LiveOf(row).reserved_bytes;
  if (site->kind != snapshot::SiteKind::kHeap) ScaleToMemory(*site, &moved);
  site->live_bytes.moved_down += moved.born_bytes;
  site->live_bytes.moved_up += moved.died_bytes;
  site->live_count.moved_down = moved.born_count;
  site->live_count.moved_up = moved.died_count;
  if (const TallySum* totals = TotalsOf(number)) FillTotals(*totals, moved, site);
  if (row.inherited != kNone) site->freed_samples = inherited_[row.inherited].freed_samples;
  FillCohorts(row, site);
  if (row.live == kNone) return;
  std::vector<ThreadSum>& shares = LiveAt(row.live).threads;
  KeepLargest(&shares);
  for (const ThreadSum& thread : shares) {
    site->threads.push_back({threads->IndexOf(thread.thread_index), thread.bytes, thread.count});
  }
}

void SiteRows::FillTotals(const TallySum& totals, const Moved& moved, snapshot::Site* site) {
  site->total_bytes.samples = site->total_count.samples = totals.samples;
  site->total_bytes.value = totals.born_bytes;
  site->total_count.value = totals.born_count;
  site->total_bytes.variance = totals.born_bytes_variance;
  site->total_count.variance = totals.born_count_variance;
  site->total_bytes.largest_weight = MeanWeight(totals.born_bytes, totals.born_bytes_variance, totals.samples);
  site->total_count.largest_weight = MeanWeight(totals.born_count, totals.born_count_variance, totals.samples);
  site->total_bytes.moved_down = moved.born_bytes;
  site->total_bytes.moved_up = totals.may_be_more;
  site->total_count.moved_down = moved.born_count;
  site->freed_bytes = totals.died_bytes;
  site->freed_samples = totals.died_samples;
  site->lifetimes = totals.lifetimes.All();
}

void SiteRows::FillCohorts(const Row& row, snapshot::Site* site) const {
  const SiteSum& live = LiveOf(row);
  if (site->inherited) {
    if (live.bytes.samples == 0 || row.inherited == kNone) return;
    const int64_t from_ms = std::min(inherited_[row.inherited].oldest_ms, clock_.started_ms());
    site->cohorts.push_back({from_ms, clock_.started_ms(), live.bytes.samples, live.bytes.value, live.count.value});
    return;
  }
  uint64_t mask = live.cohorts.occupied;
  for (const CohortSum& sum : live.cohorts.sums) {
    const auto cohort = static_cast<uint32_t>(std::countr_zero(mask));
    mask &= mask - 1;
    site->cohorts.push_back(
        {clock_.CohortStartMs(cohort), clock_.CohortStartMs(cohort + 1), sum.samples, sum.bytes, sum.count});
  }
}

// First and last birth. What lives says when it was born; of what has died, the stack knows the first and the tally the last
// (to 2.56 s, taken as late as that allows).
void SiteRows::Date(uint32_t number, Sightings* sightings, int64_t now_ms, snapshot::Site* site) const {
  const Row& row = rows_[number];
  const SiteSum& live = LiveOf(row);
  const int64_t latest_ms = std::max(now_ms, clock_.started_ms());
  int64_t first_ms = 0, last_ms = 0;
  if (site->inherited) {
    first_ms = site->oldest_birth_ms = row.inherited == kNone ? 0 : inherited_[row.inherited].oldest_ms;
    last_ms = clock_.started_ms();
  } else if (live.bytes.samples > 0) {
    first_ms = site->oldest_birth_ms = clock_.TickMs(live.first_birth_tick);
    last_ms = clock_.TickMs(live.last_birth_tick);
  }
  if (const TallySum* totals = TotalsOf(number); totals != nullptr && totals->samples > 0) {
    const int64_t met_ms = row.first_tick == StackTable::kNeverMet ? clock_.started_ms() : clock_.TickMs(row.first_tick);
    first_ms = first_ms == 0 ? met_ms : std::min(first_ms, met_ms);
    const bool alone = live.bytes.samples == 0 || totals->last_birth_tick > live.last_birth_tick;
    if (alone) last_ms = clock_.TickMs(totals->last_birth_tick + protocol::kTallyBirthTicks);
  } else {
    const uint64_t row_key = RowKey(0, site->kind, site->scope, site->inherited);
    Sightings::Span& span = sightings->Of(stacks_.ContentHash(site->stack) ^ (row_key * 0x9E37'79B9'7F4A'7C15ull));
    sightings->Update(0, first_ms, last_ms, latest_ms, &span);
    first_ms = span.first_ms;
    last_ms = span.last_ms;
  }
  site->first_seen_ms = std::min(first_ms, latest_ms);
  site->last_seen_ms = std::min(last_ms, latest_ms);
}

}  // namespace leakhunt::ledger
