// Whole copies of slots that their process goes on changing.
//
// A slot begins with its state word, and every change of the slot changes that word (state or generation). A copy is
// whole when the words that were read before it and after it both equal the word in it. The word in the copy does not
// stand for the one before: the kernel copies with string moves, which read in any order (seen: the second half of 32
// bytes before the first), so that one read says nothing of which word is older. Reads after one another are ordered:
// the kernel's locked instructions lie between them.
//
// Runs of 64 KiB are read three times; slots whose words differ are copied again one by one, and a slot that will not
// hold still is shown as void: what happens to it meanwhile is in the tallies.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#include "collector/ledger/page_directory.h"
#include "collector/ledger/page_file.h"

namespace leakhunt::ledger {

enum class PageWriter : uint8_t {
  kGone,  // nobody writes any more: one read is enough
  kActive,
};

class SlotCopier {
 public:
  SlotCopier(const PageFile& file, PageWriter writer);

  // Calls visit(uint64_t file_offset, const Slot&) for every slot of `area` that is not void. Holes of the file are
  // skipped without being read.
  template <class Slot, class Visit>
  void ForEach(const Area& area, Visit&& visit) {
    const uint64_t end = area.offset + area.bytes;
    for (uint64_t at = NextRun(area.offset, end); at < end; at = NextRun(at, end)) {
      const size_t bytes = CopyRun(at, end, sizeof(Slot));
      if (bytes == 0) return;
      for (size_t i = 0; i < bytes; i += sizeof(Slot)) {
        Slot slot;
        std::memcpy(&slot, copy_.data() + i, sizeof(slot));
        if (protocol::StateOf(slot.state) != protocol::SlotState::kVoid) visit(at + i, slot);
      }
      at += bytes;
    }
  }

 private:
  uint64_t NextRun(uint64_t at, uint64_t end) const;
  size_t CopyRun(uint64_t at, uint64_t end, size_t slot_bytes);
  void Settle(uint64_t offset, std::byte* slot, size_t slot_bytes) const;

  const PageFile& file_;
  PageWriter writer_;
  std::vector<std::byte> copy_;
  std::vector<std::byte> before_;
  std::vector<std::byte> after_;
};

}  // namespace leakhunt::ledger
