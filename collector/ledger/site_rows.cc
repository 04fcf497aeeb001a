#include "collector/ledger/site_rows.h"

#include <algorithm>
#include <bit>
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
  for (size_t i = 0; i < into->lifetimes.size(); ++i) into->lifetimes[i] += from.lifetimes[i];
}

void AddMoved(const Moved& from, Moved* into) {
  into->born_bytes += from.born_bytes;
  into->born_count += from.born_count;
  into->died_bytes += from.died_bytes;
  into->died_count += from.died_count;
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

void SiteRows::AddBlocks(BlockSums blocks, ScopeTable* scopes) {
  for (uint32_t i = 0; i < blocks.size(); ++i) {
    const uint64_t key = blocks.KeyAt(i);
    const uint32_t stack = stacks_.IndexOf(StackOfKey(key));
    Row& row = RowOf(stack, SiteKindOf(KindOfKey(key)), scopes->IndexOf(ScopeOfKey(key)), false);
    SiteSum sum = blocks.Take(i);
    if (row.live.bytes.samples == 0) {
      row.live = std::move(sum);
    } else {
      row.live.Merge(sum);
    }
  }
}

void SiteRows::AddTallies(const TallySums* before, const TallySums& after) {
  for (uint32_t i = 0; i < after.size(); ++i) {
    const uint64_t key = after.KeyAt(i);
    Row& row = RowOf(stacks_.IndexOf(StackOfKey(key)), SiteKindOf(KindOfKey(key)), 0, false);
    AddTally(after.At(i), &row.totals);
    row.has_totals = true;
    if (before != nullptr) AddMoved(MovedBetween(before->Find(key), after.At(i)), &row.moved);
  }
}

void SiteRows::AddInherited(const std::vector<InheritedBlocks>& inherited) {
  for (const InheritedBlocks& blocks : inherited) {
    Row& row = RowOf(stacks_.IndexOf(blocks.stack), SiteKindOf(blocks.kind), 0, true);
    AddWeighted(&row.live.bytes, blocks.bytes);
    AddWeighted(&row.live.count, blocks.count);
    row.inherited_freed_samples += blocks.freed_samples;
    const bool older = row.inherited_oldest_ms == 0 || blocks.oldest_birth_ms < row.inherited_oldest_ms;
    if (older) row.inherited_oldest_ms = blocks.oldest_birth_ms;
  }
}

// What is known by stack goes from the scope-0 row to its other scopes (movement), and a stack without a tally gets
// its live figures as the least its totals can be.
void SiteRows::ShareStackFigures() {
  const uint32_t rows = index_.size();
  for (uint32_t i = 0; i < rows; ++i) {
    const uint64_t key = index_.KeyAt(i);
    if (RowInherited(key)) continue;
    Row& first = RowOf(RowStack(key), RowKind(key), 0, false);
    Row& row = rows_[i];
    if (&row != &first) row.moved = first.moved;
    if (first.has_totals) continue;
    first.totals.samples += row.live.bytes.samples;
    first.totals.born_bytes += row.live.bytes.value;
    first.totals.born_count += row.live.count.value;
    first.totals.born_bytes_variance += row.live.bytes.variance;
    first.totals.born_count_variance += row.live.count.variance;
  }
}

std::vector<snapshot::Site> SiteRows::Finish(ThreadTable* threads, Sightings* sightings, int64_t now_ms) {
  ShareStackFigures();
  std::vector<snapshot::Site> sites;
  sites.reserve(rows_.size());
  for (uint32_t i = 0; i < rows_.size(); ++i) {
    sites.push_back(Describe(index_.KeyAt(i), &rows_[i], threads));
    Date(rows_[i], sightings, now_ms, &sites.back());
    rows_[i].live = SiteSum();  // may be large, and the rows of a snapshot are too
  }
  std::sort(sites.begin(), sites.end(), [this](const snapshot::Site& a, const snapshot::Site& b) {
    if (a.live_bytes.value != b.live_bytes.value) return a.live_bytes.value > b.live_bytes.value;
    if (a.total_bytes.value != b.total_bytes.value) return a.total_bytes.value > b.total_bytes.value;
    if (a.stack != b.stack) return stacks_.ContentHash(a.stack) < stacks_.ContentHash(b.stack);
    return std::tie(a.kind, a.scope, a.inherited) < std::tie(b.kind, b.scope, b.inherited);
  });
  return sites;
}

snapshot::Site SiteRows::Describe(uint64_t key, Row* row, ThreadTable* threads) const {
  snapshot::Site site;
  site.kind = RowKind(key);
  site.stack = RowStack(key);
  site.scope = RowScope(key);
  site.inherited = RowInherited(key);
  site.live_bytes = row->live.bytes;
  site.live_count = row->live.count;
  site.live_bytes.moved_down = row->moved.born_bytes;
  site.live_bytes.moved_up = row->moved.died_bytes;
  site.live_count.moved_down = row->moved.born_count;
  site.live_count.moved_up = row->moved.died_count;
  if (!site.inherited && site.scope == 0) FillTotals(*row, &site);
  if (site.inherited) site.freed_samples = row->inherited_freed_samples;
  FillCohorts(*row, &site);
  KeepLargest(&row->live.threads);
  for (const ThreadSum& thread : row->live.threads) {
    site.threads.push_back({threads->IndexOf(thread.thread_index), thread.bytes, thread.count});
  }
  return site;
}

void SiteRows::FillTotals(const Row& row, snapshot::Site* site) const {
  const TallySum& totals = row.totals;
  site->total_bytes.samples = site->total_count.samples = totals.samples;
  site->total_bytes.value = totals.born_bytes;
  site->total_count.value = totals.born_count;
  site->total_bytes.variance = totals.born_bytes_variance;
  site->total_count.variance = totals.born_count_variance;
  site->total_bytes.largest_weight = MeanWeight(totals.born_bytes, totals.born_bytes_variance, totals.samples);
  site->total_count.largest_weight = MeanWeight(totals.born_count, totals.born_count_variance, totals.samples);
  site->total_bytes.moved_down = row.moved.born_bytes;
  site->total_count.moved_down = row.moved.born_count;
  site->freed_bytes = totals.died_bytes;
  site->freed_samples = totals.died_samples;
  site->lifetimes = totals.lifetimes;
}

void SiteRows::FillCohorts(const Row& row, snapshot::Site* site) const {
  if (site->inherited) {
    if (row.live.bytes.samples == 0) return;
    const int64_t from_ms = std::min(row.inherited_oldest_ms, clock_.started_ms());
    site->cohorts.push_back(
        {from_ms, clock_.started_ms(), row.live.bytes.samples, row.live.bytes.value, row.live.count.value});
    return;
  }
  uint64_t mask = row.live.cohorts.occupied;
  for (const CohortSum& sum : row.live.cohorts.sums) {
    const auto cohort = static_cast<uint32_t>(std::countr_zero(mask));
    mask &= mask - 1;
    site->cohorts.push_back(
        {clock_.CohortStartMs(cohort), clock_.CohortStartMs(cohort + 1), sum.samples, sum.bytes, sum.count});
  }
}

// First and last birth. Live blocks say theirs; that others were born and died since the last capture is known from
// the totals alone, and is dated by the captures around it.
void SiteRows::Date(const Row& row, Sightings* sightings, int64_t now_ms, snapshot::Site* site) const {
  const uint64_t content = stacks_.ContentHash(site->stack);
  const uint64_t row_key = RowKey(0, site->kind, site->scope, site->inherited);
  Sightings::Span& span = sightings->Of(content ^ (row_key * 0x9E37'79B9'7F4A'7C15ull));
  int64_t first_ms = 0, last_ms = 0;
  if (site->inherited) {
    first_ms = site->oldest_birth_ms = row.inherited_oldest_ms;
    last_ms = clock_.started_ms();
  } else if (row.live.bytes.samples > 0) {
    first_ms = site->oldest_birth_ms = clock_.TickMs(row.live.first_birth_tick);
    last_ms = clock_.TickMs(row.live.last_birth_tick);
  }
  sightings->Update(site->total_bytes.samples, first_ms, last_ms, std::max(now_ms, clock_.started_ms()), &span);
  site->first_seen_ms = span.first_ms;
  site->last_seen_ms = span.last_ms;
}

}  // namespace leakhunt::ledger
