// A process of very many stacks is read part by part, so that what the collector holds of them at once stays bounded.
//
// A part is a range of stack references: neighbours in it were interned at about the same time, share their outer frames,
// and have their tallies in the same pages.
#pragma once

#include <cstdint>
#include <vector>

#include "collector/ledger/page_directory.h"
#include "collector/ledger/page_file.h"

namespace leakhunt::ledger {

// References in [first, last].
struct StackRange {
  uint32_t first = 0, last = 0xFFFF'FFFF;

  bool Holds(uint32_t stack) const { return stack >= first && stack <= last; }
  bool IsLast() const { return last == 0xFFFF'FFFF; }
};

struct StackPart {
  StackRange range;
  std::vector<uint32_t> tally_pages;  // numbers of the pages that have tallies of it, in rising order; and of others
};

// Parts that together hold every reference, in rising order, each of about 3,072 tallies, or of more where there are so many
// records that to sweep them again for each part would cost too much. One part for most processes. A stack that is
// new while they are read lies in one of them too, and its tally most likely in a page that is in none.
std::vector<StackPart> StackParts(const PageFile& file, const PageDirectory& directory);

}  // namespace leakhunt::ledger
