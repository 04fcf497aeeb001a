#include "collector/ledger/slot_copier.h"

#include <algorithm>

namespace leakhunt::ledger {

namespace {

constexpr size_t kRunBytes = 64 * 1024;
constexpr int kSettleAttempts = 8;

uint64_t StateWord(const std::byte* slot) {
  uint64_t word;
  std::memcpy(&word, slot, sizeof(word));
  return word;
}

}  // namespace

SlotCopier::SlotCopier(const PageFile& file, PageWriter writer)
    : file_(file),
      writer_(writer),
      copy_(kRunBytes),
      before_(writer == PageWriter::kActive ? kRunBytes : 0),
      after_(before_.size()) {}

uint64_t SlotCopier::NextRun(uint64_t at, uint64_t end) const {
  if (at >= end) return end;
  const uint64_t data = file_.SkipHole(at, end);
  return std::max(at, data - data % protocol::kPageBytes);
}

size_t SlotCopier::CopyRun(uint64_t at, uint64_t end, size_t slot_bytes) {
  const size_t bytes = std::min<uint64_t>(kRunBytes, end - at);
  if (writer_ == PageWriter::kGone) return file_.Read(at, copy_.data(), bytes) ? bytes : 0;
  const bool all = file_.Read(at, before_.data(), bytes) && file_.Read(at, copy_.data(), bytes) &&
                   file_.Read(at, after_.data(), bytes);
  if (!all) return 0;
  for (size_t i = 0; i < bytes; i += slot_bytes) {
    const uint64_t word = StateWord(copy_.data() + i);
    if (StateWord(before_.data() + i) != word || StateWord(after_.data() + i) != word) {
      Settle(at + i, copy_.data() + i, slot_bytes);
    }
  }
  return bytes;
}

void SlotCopier::Settle(uint64_t offset, std::byte* slot, size_t slot_bytes) const {
  uint64_t before = 0, after = 0;
  bool readable = file_.Read(offset, &before, sizeof(before));
  for (int attempt = 0; readable && attempt < kSettleAttempts; ++attempt, before = after) {
    readable = file_.Read(offset, slot, slot_bytes) && file_.Read(offset, &after, sizeof(after));
    if (readable && StateWord(slot) == before && before == after) return;
  }
  std::memset(slot, 0, slot_bytes);
}

}  // namespace leakhunt::ledger
