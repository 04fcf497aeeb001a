// How much of any address range of a process is in memory, at the moment its smaps was read.
//
// The program's mappings and the kernel's do not match: neighbours that are alike are one mapping of the kernel's,
// mprotect makes one of the program's into many. A kernel's mapping that lies whole in a range, or is empty, or full,
// is answered by smaps; only where a range cuts through one are its pages asked for, once, by the first who asks.
#pragma once

#include <cstdint>
#include <optional>
#include <unordered_map>
#include <vector>

#include "collector/ledger/residency.h"
#include "collector/watch/memory_map.h"
#include "collector/watch/page_runs.h"

namespace leakhunt::watch {

class ResidentPages final : public ledger::Residency {
 public:
  ResidentPages() = default;
  ResidentPages(MemoryMap map, PageRuns pages) : map_(std::move(map)), pages_(std::move(pages)) {}

  ledger::InMemory In(uint64_t start, uint64_t end) const override;
  uint64_t EndOfAreaAt(uint64_t address) const override;

  // Of [start, end), what counts towards RSS in mappings of one class.
  double RssIn(uint64_t start, uint64_t end, MemoryClass kind) const;

  const MemoryMap& Map() const { return map_; }

 private:
  // Share of an area in a range: bytes that count towards RSS, and bytes beside it.
  struct Share {
    ledger::InMemory rss;
    double swap_and_huge = 0;
  };
  // Pages of an area, scaled to what smaps says of it.
  struct AreaPages {
    std::vector<PageRun> runs;
    double rss_scale = 1, swap_scale = 1;
  };

  size_t FirstAreaAfter(uint64_t address) const;
  Share ShareOf(size_t area, uint64_t start, uint64_t end) const;
  Share ShareByPages(size_t area, uint64_t start, uint64_t end) const;
  const std::optional<AreaPages>& PagesOf(size_t area) const;

  MemoryMap map_;
  PageRuns pages_;
  mutable std::unordered_map<size_t, std::optional<AreaPages>> known_;
};

}  // namespace leakhunt::watch
