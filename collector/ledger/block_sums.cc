#include "collector/ledger/block_sums.h"

#include <algorithm>
#include <bit>

namespace leakhunt::ledger {

namespace {

// More sites than any program has call sites; beyond it blocks are counted at the unknown stack.
constexpr uint32_t kMaxSites = 1u << 18;

constexpr size_t kMergedThreads = 64;
constexpr size_t kThreadsInline = 16;

void AddBlock(snapshot::Weighted* sum, double weight, double variance, bool certain) {
  ++sum->samples;
  sum->value += weight;
  sum->variance += variance;
  if (!certain) sum->largest_weight = std::max(sum->largest_weight, weight);
}

bool Larger(const ThreadSum& a, const ThreadSum& b) {
  if (a.bytes != b.bytes) return a.bytes > b.bytes;
  if (a.count != b.count) return a.count > b.count;
  return a.thread_index < b.thread_index;
}

}  // namespace

void AddWeighted(snapshot::Weighted* sum, const snapshot::Weighted& other) {
  sum->samples += other.samples;
  sum->value += other.value;
  sum->variance += other.variance;
  sum->largest_weight = std::max(sum->largest_weight, other.largest_weight);
  sum->moved_down += other.moved_down;
  sum->moved_up += other.moved_up;
}

void KeepLargest(std::vector<ThreadSum>* threads) {
  std::sort(threads->begin(), threads->end(), Larger);
  if (threads->size() > kThreadsKept) threads->resize(kThreadsKept);
}

CohortSum& CohortSums::At(uint32_t cohort) {
  const uint64_t bit = uint64_t{1} << cohort;
  const int position = std::popcount(occupied & (bit - 1));
  if ((occupied & bit) == 0) {
    occupied |= bit;
    sums.insert(sums.begin() + position, CohortSum{});
  }
  return sums[static_cast<size_t>(position)];
}

void CohortSums::Merge(const CohortSums& other) {
  uint32_t cohort = 0;
  uint64_t mask = other.occupied;
  for (const CohortSum& from : other.sums) {
    cohort = static_cast<uint32_t>(std::countr_zero(mask));
    mask &= mask - 1;
    CohortSum& into = At(cohort);
    into.samples += from.samples;
    into.bytes += from.bytes;
    into.count += from.count;
  }
}

void SiteSum::Merge(const SiteSum& other) {
  AddWeighted(&bytes, other.bytes);
  AddWeighted(&count, other.count);
  reserved_bytes += other.reserved_bytes;
  first_birth_tick = std::min(first_birth_tick, other.first_birth_tick);
  last_birth_tick = std::max(last_birth_tick, other.last_birth_tick);
  cohorts.Merge(other.cohorts);
  for (const ThreadSum& from : other.threads) {
    const auto same = std::find_if(threads.begin(), threads.end(),
                                   [&](const ThreadSum& into) { return into.thread_index == from.thread_index; });
    if (same == threads.end()) {
      threads.push_back(from);
    } else {
      same->bytes += from.bytes;
      same->count += from.count;
    }
  }
  if (threads.size() > kMergedThreads) KeepLargest(&threads);
}

BlockSums BlockSums::Sweep(SlotCopier* copier, const PageDirectory& directory, StackRange range,
                           const ProcessClock& clock, const Knowledge& knowledge) {
  BlockSums sums(clock, knowledge);
  for (const Area& area : directory.Areas(protocol::AreaKind::kRecords)) {
    copier->ForEach<protocol::RecordSlot>(area, [&](uint64_t offset, const protocol::RecordSlot& slot) {
      if (range.Holds(protocol::StackOf(slot.stack_birth))) sums.Add(offset, slot);
    });
  }
  for (const auto& [offset, slot] : sums.waiting_threads_) sums.AddMapping(offset, slot);
  sums.waiting_threads_ = {};
  sums.ShareOutThreads();
  return sums;
}

void BlockSums::Add(uint64_t offset, const protocol::RecordSlot& slot) {
  const protocol::SlotState state = protocol::StateOf(slot.state);
  if (state != protocol::SlotState::kLive && state != protocol::SlotState::kResizing) {
    if (state > protocol::SlotState::kThinned) ++refused_;
    return;
  }
  const protocol::BlockKind kind = protocol::KindOf(slot.address_kind);
  if (kind > protocol::BlockKind::kShm) {
    ++refused_;
  } else if (kind == protocol::BlockKind::kHeap) {
    AddHeap(offset, slot);
  } else if (kind != protocol::BlockKind::kThread) {
    AddMapping(offset, slot);
  } else {
    KeepThread(offset, slot);
  }
}

// From here on its size is its stack's, as that of any block.
void BlockSums::KeepThread(uint64_t offset, protocol::RecordSlot slot) {
  if (knowledge_.threads != nullptr && !knowledge_.threads->Hold(slot)) return;
  slot.size_interval = protocol::PackSize(protocol::StackBytesOf(slot.size_interval), protocol::EncodeInterval(1));
  waiting_threads_.emplace_back(offset, slot);
}

void BlockSums::AddHeap(uint64_t offset, const protocol::RecordSlot& slot) {
  const BlockWeight* weight = heap_weigher_.Weigh(offset, protocol::GenerationOf(slot.state), slot.size_interval);
  if (weight == nullptr) return;
  const uint32_t number = SiteOf(slot);
  AddBlock(&sums_[number].bytes, weight->bytes, weight->bytes_variance, weight->Certain());
  AddBlock(&sums_[number].count, weight->count, weight->count_variance, weight->Certain());
  AddDated(number, slot, *weight);
}

// Mappings and threads are never sampled: each counts once, with the bytes of it that are in memory.
void BlockSums::AddMapping(uint64_t offset, const protocol::RecordSlot& slot) {
  const auto size = static_cast<double>(protocol::SizeOf(slot.size_interval));
  const InMemory memory = knowledge_.memory == nullptr ? InMemory{size, size, size} : knowledge_.memory->Of(offset, slot);
  const uint32_t number = SiteOf(slot);
  SiteSum& site = sums_[number];
  AddBlock(&site.bytes, memory.bytes, 0, true);
  AddBlock(&site.count, 1, 0, true);
  site.bytes.moved_down += memory.bytes - memory.low;
  site.bytes.moved_up += memory.high - memory.bytes;
  site.reserved_bytes += size;
  AddDated(number, slot, BlockWeight{.bytes = memory.bytes});
}

void BlockSums::AddDated(uint32_t number, const protocol::RecordSlot& slot, const BlockWeight& weight) {
  SiteSum& site = sums_[number];
  const uint32_t birth = clock_.ClampTick(protocol::BirthTickOf(slot.stack_birth));
  site.first_birth_tick = std::min(site.first_birth_tick, birth);
  site.last_birth_tick = std::max(site.last_birth_tick, birth);
  CohortSum& cohort = site.cohorts.At(clock_.CohortOf(birth));
  ++cohort.samples;
  cohort.bytes += weight.bytes;
  cohort.count += weight.count;
  AddToThread(number, protocol::ThreadOf(slot.state), weight);
}

void BlockSums::AddToThread(uint32_t site, uint32_t thread, const BlockWeight& weight) {
  std::vector<ThreadSum>& first = sums_[site].threads;
  ThreadSum* sum = nullptr;
  for (ThreadSum& known : first) {
    if (known.thread_index == thread) sum = &known;
  }
  if (sum == nullptr && first.size() < kThreadsInline) sum = &first.emplace_back(ThreadSum{thread, 0, 0});
  if (sum == nullptr) {
    const uint32_t pair = more_threads_.FindOrAdd((static_cast<uint64_t>(site) << 32) | thread);
    if (pair == more_sums_.size()) more_sums_.push_back({thread, 0, 0});
    sum = &more_sums_[pair];
  }
  sum->bytes += weight.bytes;
  sum->count += weight.count;
}

// Every sum is final by now, so whatever is not among the largest can go.
void BlockSums::ShareOutThreads() {
  for (SiteSum& site : sums_) KeepLargest(&site.threads);
  for (uint32_t pair = 0; pair < more_sums_.size(); ++pair) {
    std::vector<ThreadSum>& threads = sums_[more_threads_.KeyAt(pair) >> 32].threads;
    threads.push_back(more_sums_[pair]);
    KeepLargest(&threads);
  }
  more_threads_ = KeyIndex();
  more_sums_ = {};
}

uint32_t BlockSums::SiteOf(const protocol::RecordSlot& slot) {
  const protocol::BlockKind kind = protocol::KindOf(slot.address_kind);
  const uint64_t key = SiteKey(protocol::StackOf(slot.stack_birth), kind, protocol::ScopeOf(slot.address_kind));
  uint32_t number = index_.Find(key);
  if (number == KeyIndex::kAbsent) number = index_.FindOrAdd(index_.size() < kMaxSites ? key : SiteKey(0, kind, 0));
  if (number == sums_.size()) sums_.emplace_back();
  return number;
}

}  // namespace leakhunt::ledger
