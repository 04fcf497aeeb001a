#include "collector/ledger/mapping_memory.h"

#include <algorithm>

#include "collector/ledger/tally_sums.h"

namespace leakhunt::ledger {
namespace {

constexpr uint64_t kPage = protocol::kPageBytes;
constexpr uint64_t kThreadBlock = 2304;          // libc's own at the top of a stack, which pthread_t points to
constexpr uint64_t kNearTop = uint64_t{64} << 10;

uint64_t RoundUp(uint64_t bytes) { return (bytes + kPage - 1) / kPage * kPage; }

bool IsThread(const protocol::RecordSlot& slot) {
  return protocol::KindOf(slot.address_kind) == protocol::BlockKind::kThread;
}

}  // namespace

void MappingMemory::Begin(const Residency* residency, double most_unread_bytes) {
  residency_ = residency;
  unread_left_ = most_unread_bytes;
  unread_ = false;
  ++capture_;
}

// A thread is recorded by its pthread_t, which lies at the upper end of its stack. Stacks without a guard between them
// are one mapping to the kernel.
AddressRange MappingMemory::RangeOf(const protocol::RecordSlot& slot) const {
  const uint64_t address = protocol::AddressOf(slot.address_kind);
  const uint64_t size = RoundUp(protocol::SizeOf(slot.size_interval));
  if (!IsThread(slot)) return {address, address + size};
  const uint64_t area_end = residency_ == nullptr ? 0 : residency_->EndOfAreaAt(address);
  const bool at_top = area_end != 0 && area_end - address <= kNearTop;
  const uint64_t end = at_top ? area_end : RoundUp(address + kThreadBlock);
  return {end - std::min(end, size), end};
}

InMemory MappingMemory::Of(uint64_t slot_offset, const protocol::RecordSlot& slot) {
  Entry& entry = entries_[slot_offset];
  const uint64_t generation = protocol::GenerationOf(slot.state);
  if (entry.generation != generation) entry = Entry{};
  const AddressRange range = RangeOf(slot);
  const bool same = entry.range.start == range.start && entry.range.end == range.end;
  if (entry.capture == capture_ && same) return entry.now;
  entry.generation = generation;
  entry.capture = capture_;
  entry.thread = IsThread(slot);
  entry.stack_kind = StackKindKey(protocol::StackOf(slot.stack_birth), protocol::KindOf(slot.address_kind));
  entry.range = range;
  entry.size = static_cast<double>(protocol::SizeOf(slot.size_interval));
  if (residency_ != nullptr) Read(&entry);
  else if (entry.read_size == 0) Guess(&entry);
  const double rise = std::max(0.0, entry.now.bytes - entry.most);
  entry.most += rise;
  totals_[entry.stack_kind].bytes += rise;
  return entry.now;
}

bool MappingMemory::InsideMapping(const AddressRange& range) {
  if (sorted_.empty()) {
    sorted_ = Mappings();
    std::sort(sorted_.begin(), sorted_.end(),
              [](const AddressRange& a, const AddressRange& b) { return a.start < b.start; });
  }
  const auto after = std::partition_point(sorted_.begin(), sorted_.end(),
                                          [&](const AddressRange& mapping) { return mapping.end < range.end; });
  return after != sorted_.end() && after->start < range.end;
}

void MappingMemory::Read(Entry* entry) {
  const bool elsewhere = entry->thread && InsideMapping(entry->range);
  entry->now = elsewhere ? InMemory{} : residency_->In(entry->range.start, entry->range.end);
  totals_[entry->stack_kind].read_sizes += std::max(0.0, entry->size - entry->read_size);
  entry->read_size = std::max(entry->read_size, entry->size);
}

void MappingMemory::Guess(Entry* entry) {
  unread_ = true;
  const Totals known = TotalsOf(entry->stack_kind);
  const double usual = known.read_sizes > 0 ? std::min(1.0, known.bytes / known.read_sizes) : 1;
  const double guess = std::min(entry->size * usual, unread_left_);
  unread_left_ -= guess;
  entry->now = {guess, 0, entry->size};
}

void MappingMemory::End() {
  std::erase_if(entries_, [this](const auto& item) { return item.second.capture != capture_; });
  residency_ = nullptr;
  sorted_.clear();
}

MappingMemory::Totals MappingMemory::TotalsOf(uint64_t stack_kind) const {
  const auto at = totals_.find(stack_kind);
  return at == totals_.end() ? Totals{} : at->second;
}

std::vector<AddressRange> MappingMemory::Mappings() const {
  std::vector<AddressRange> mappings;
  for (const auto& [offset, entry] : entries_) {
    if (entry.capture == capture_ && !entry.thread) mappings.push_back(entry.range);
  }
  return mappings;
}

}  // namespace leakhunt::ledger
