#include "collector/ledger/handle_rows.h"

#include <algorithm>

#include "collector/ledger/block_sums.h"
#include "collector/ledger/key_index.h"

namespace leakhunt::ledger {

namespace {

using snapshot::HandleSite;
using snapshot::HandleType;

struct Totals {
  uint64_t opened = 0, closed = 0, peak = 0, closed_unseen = 0;
};

class HandleRows {
 public:
  HandleRows(const StackTable& stacks, const ProcessClock& clock, ThreadTable* threads)
      : stacks_(stacks), clock_(clock), threads_(threads) {}

  void AddOpen(std::vector<RecordedHandle> open);
  void AddTotals(const HandleRowsInput& input);
  std::vector<HandleSite> Finish(Sightings* sightings, int64_t now_ms);

 private:
  struct Row {
    HandleSite site;
    std::vector<ThreadSum> threads;
  };

  Row& RowOf(uint32_t stack, HandleType type);
  Totals& TotalsOf(uint32_t stack);
  void GiveTotals();
  void Describe(Row* row, Sightings* sightings, int64_t now_ms) const;

  const StackTable& stacks_;
  const ProcessClock& clock_;
  ThreadTable* threads_;
  KeyIndex index_;  // (type, stack)
  std::vector<Row> rows_;
  KeyIndex row_threads_;  // (row, thread)
  KeyIndex total_stacks_;
  std::vector<Totals> totals_;
  KeyIndex hint_stacks_;
  std::vector<HandleType> hints_;
};

HandleRows::Row& HandleRows::RowOf(uint32_t stack, HandleType type) {
  const uint32_t number = index_.FindOrAdd(stack | (static_cast<uint64_t>(type) << 32));
  if (number == rows_.size()) {
    rows_.emplace_back();
    rows_.back().site.stack = stack;
    rows_.back().site.type = type;
  }
  return rows_[number];
}

Totals& HandleRows::TotalsOf(uint32_t stack) {
  const uint32_t number = total_stacks_.FindOrAdd(stack);
  if (number == totals_.size()) totals_.emplace_back();
  return totals_[number];
}

// Oldest first, so that every row's births are sorted and its first examples the oldest.
void HandleRows::AddOpen(std::vector<RecordedHandle> open) {
  std::stable_sort(open.begin(), open.end(),
                   [](const RecordedHandle& a, const RecordedHandle& b) { return a.birth_tick < b.birth_tick; });
  std::vector<uint32_t> thread_places;
  for (RecordedHandle& handle : open) {
    const int64_t birth_ms = clock_.TickMs(clock_.ClampTick(handle.birth_tick));
    Row& row = RowOf(stacks_.IndexOf(handle.stack), handle.type);
    HandleSite& site = row.site;
    ++site.open;
    site.births_ms.push_back(birth_ms);
    const auto number = static_cast<uint64_t>(&row - rows_.data());
    const uint32_t place = row_threads_.FindOrAdd((number << 32) | handle.thread_index);
    if (place == thread_places.size()) {
      thread_places.push_back(static_cast<uint32_t>(row.threads.size()));
      row.threads.push_back({handle.thread_index, 0, 0});
    }
    row.threads[thread_places[place]].count += 1;
    if (site.examples.size() >= kExamplesKept) continue;
    site.examples.push_back({handle.fd, std::move(handle.label), birth_ms, threads_->IndexOf(handle.thread_index)});
  }
}

void HandleRows::AddTotals(const HandleRowsInput& input) {
  for (const HandleTotalsOfStack& from : *input.totals) {
    Totals& into = TotalsOf(stacks_.IndexOf(from.stack));
    into.opened += from.opened;
    into.closed += from.closed;
    into.peak += from.peak;
    if (from.type == HandleType::kOther) continue;
    if (hint_stacks_.FindOrAdd(stacks_.IndexOf(from.stack)) == hints_.size()) hints_.push_back(from.type);
  }
  for (const uint32_t stack : input.reconciled->closed_unseen) ++TotalsOf(stacks_.IndexOf(stack)).closed_unseen;
  for (const auto& [stack, type] : *input.closed_types) {
    if (hint_stacks_.FindOrAdd(stacks_.IndexOf(stack)) == hints_.size()) hints_.push_back(type);
  }
}

std::vector<HandleSite> HandleRows::Finish(Sightings* sightings, int64_t now_ms) {
  GiveTotals();
  std::vector<HandleSite> sites;
  for (Row& row : rows_) {
    Describe(&row, sightings, now_ms);
    sites.push_back(std::move(row.site));
  }
  std::stable_sort(sites.begin(), sites.end(), [this](const HandleSite& a, const HandleSite& b) {
    if (a.open != b.open) return a.open > b.open;
    if (a.opened != b.opened) return a.opened > b.opened;
    return stacks_.ContentHash(a.stack) < stacks_.ContentHash(b.stack);
  });
  return sites;
}

// To each stack's row with the most open.
void HandleRows::GiveTotals() {
  KeyIndex stacks;
  std::vector<uint32_t> first_row;
  for (uint32_t i = 0; i < rows_.size(); ++i) {
    const uint32_t number = stacks.FindOrAdd(rows_[i].site.stack);
    if (number == first_row.size()) first_row.push_back(i);
    if (rows_[i].site.open > rows_[first_row[number]].site.open) first_row[number] = i;
  }
  for (uint32_t i = 0; i < total_stacks_.size(); ++i) {
    const auto stack = static_cast<uint32_t>(total_stacks_.KeyAt(i));
    const uint32_t number = stacks.Find(stack);
    if (number == KeyIndex::kAbsent && totals_[i].opened == 0) continue;  // an entry taken and not yet used
    const uint32_t hint = hint_stacks_.Find(stack);
    const HandleType type = hint == KeyIndex::kAbsent ? HandleType::kOther : hints_[hint];
    HandleSite& site = number == KeyIndex::kAbsent ? RowOf(stack, type).site : rows_[first_row[number]].site;
    site.opened = totals_[i].opened;
    site.closed = std::min(totals_[i].opened, totals_[i].closed + totals_[i].closed_unseen);
    site.peak = totals_[i].peak;
  }
  for (const uint32_t row : first_row) {
    HandleSite& site = rows_[row].site;
    if (total_stacks_.Find(site.stack) == KeyIndex::kAbsent) site.opened = site.peak = site.open;
  }
}

void Thin(std::vector<int64_t>* births_ms) {
  const size_t count = births_ms->size();
  if (count <= kBirthsKept) return;
  for (size_t i = 0; i < kBirthsKept; ++i) (*births_ms)[i] = (*births_ms)[i * (count - 1) / (kBirthsKept - 1)];
  births_ms->resize(kBirthsKept);
}

void HandleRows::Describe(Row* row, Sightings* sightings, int64_t now_ms) const {
  HandleSite& site = row->site;
  int64_t last_ms = 0;
  if (!site.births_ms.empty()) {
    site.oldest_birth_ms = site.births_ms.front();
    last_ms = site.births_ms.back();
  }
  const uint64_t identity =
      stacks_.ContentHash(site.stack) ^ ((static_cast<uint64_t>(site.type) + 1) * 0x9E37'79B9'7F4A'7C15ull);
  Sightings::Span& span = sightings->Of(identity);
  sightings->Update(site.opened, site.oldest_birth_ms, last_ms, now_ms, &span);
  site.first_seen_ms = span.first_ms;
  site.last_seen_ms = span.last_ms;
  Thin(&site.births_ms);
  KeepLargest(&row->threads);
  for (const ThreadSum& thread : row->threads) {
    site.threads.push_back({threads_->IndexOf(thread.thread_index), 0, thread.count});
  }
}

}  // namespace

void FillHandles(const HandleRowsInput& input, const StackTable& stacks, const ProcessClock& clock,
                 ThreadTable* threads, Sightings* sightings, snapshot::Snapshot* out) {
  HandleRows rows(stacks, clock, threads);
  rows.AddTotals(input);
  rows.AddOpen(std::move(input.reconciled->open));
  out->handle_sites = rows.Finish(sightings, input.now_ms);
  out->untracked = std::move(input.reconciled->untracked);
  out->handles_by_type.fill(0);
  out->handle_totals.open = out->handle_totals.untracked = out->handle_totals.inherited = 0;
  out->handle_totals.vanished = input.reconciled->vanished;
  for (const HandleSite& site : out->handle_sites) {
    out->handle_totals.open += site.open;
    out->handles_by_type[static_cast<size_t>(site.type)] += site.open;
  }
  for (const snapshot::UntrackedHandle& handle : out->untracked) {
    ++(handle.inherited ? out->handle_totals.inherited : out->handle_totals.untracked);
    ++out->handles_by_type[static_cast<size_t>(handle.type)];
  }
}

}  // namespace leakhunt::ledger
