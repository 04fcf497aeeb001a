// Entries that are filled once and then published by a word of their own, read while their process goes on.
//
// One read of both may find the word and miss the rest, because it reads in any order (see slot_copier.h). So the word
// is looked for in one read and the entry taken from the next; what is published in between is left to the next sweep.
#pragma once

#include <cstdint>

#include "collector/ledger/page_directory.h"
#include "collector/ledger/page_file.h"

namespace leakhunt::ledger {

// Calls visit(const Entry&) for every entry of the areas of `kind` whose word `published` is not 0. Holes are skipped; an
// area that cannot be read is left.
template <class Entry, class Visit>
void ForEachPublished(const PageFile& file, const PageDirectory& directory, protocol::AreaKind kind,
                      uint32_t Entry::*published, Visit&& visit) {
  constexpr size_t kEntries = protocol::kPageBytes / sizeof(Entry);
  Entry seen[kEntries], entries[kEntries];
  for (const Area& area : directory.Areas(kind)) {
    file.ForEachPage(area.offset, area.offset + area.bytes, [&](uint64_t at) {
      if (!file.Read(at, seen, sizeof(seen)) || !file.Read(at, entries, sizeof(entries))) return false;
      for (size_t i = 0; i < kEntries; ++i) {
        if (seen[i].*published != 0 && entries[i].*published != 0) visit(entries[i]);
      }
      return true;
    });
  }
}

}  // namespace leakhunt::ledger
