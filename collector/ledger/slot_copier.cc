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
    : file_(file), writer_(writer), copy_(kRunBytes), again_(writer == PageWriter::kActive ? kRunBytes : 0) {}

uint64_t SlotCopier::NextRun(uint64_t at, uint64_t end) const {
  if (at >= end) return end;
  const uint64_t data = file_.SkipHole(at, end);
  return std::max(at, data - data % protocol::kPageBytes);
}

size_t SlotCopier::CopyRun(uint64_t at, uint64_t end, size_t slot_bytes) {
  const size_t bytes = std::min<uint64_t>(kRunBytes, end - at);
  if (!file_.Read(at, copy_.data(), bytes)) return 0;
  if (writer_ == PageWriter::kGone) return bytes;
  if (!file_.Read(at, again_.data(), bytes)) return 0;
  for (size_t i = 0; i < bytes; i += slot_bytes) {
    if (StateWord(copy_.data() + i) != StateWord(again_.data() + i)) Settle(at + i, copy_.data() + i, slot_bytes);
  }
  return bytes;
}

void SlotCopier::Settle(uint64_t offset, std::byte* slot, size_t slot_bytes) const {
  for (int attempt = 0; attempt < kSettleAttempts; ++attempt) {
    uint64_t after = 0;
    if (!file_.Read(offset, slot, slot_bytes) || !file_.Read(offset, &after, sizeof(after))) break;
    if (StateWord(slot) == after) return;
  }
  std::memset(slot, 0, slot_bytes);
}

}  // namespace leakhunt::ledger
