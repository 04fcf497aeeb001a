// Which pages of an address range are in memory or swap, from /proc/PID/pagemap: PAGEMAP_SCAN (Linux 6.7), else one
// word a page.
//
// Needs the right to read the process (ptrace's read mode, as for smaps). Page frame numbers, which the kernel hides
// from most, are not used.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "collector/base/unique_fd.h"

namespace leakhunt::watch {

// Neighbouring pages that are alike: in memory, or in swap.
struct PageRun {
  uint64_t start = 0, end = 0;
  bool swapped = false;
};

class PageRuns {
 public:
  PageRuns() = default;
  // An invalid descriptor answers nothing.
  explicit PageRuns(UniqueFd pagemap) : pagemap_(std::move(pagemap)) {}

  // Runs of [start, end), by address; nothing when it cannot be read, or when without PAGEMAP_SCAN it would take more
  // than `kMostWords` a process.
  std::optional<std::vector<PageRun>> Read(uint64_t start, uint64_t end) const;

  // Words (pages) that are read one by one before ranges are given up: 8 GiB of address space, some 10 ms.
  static constexpr uint64_t kMostWords = 2 << 20;

 private:
  enum class Way : uint8_t { kScan, kWords };
  bool Scan(uint64_t start, uint64_t end, std::vector<PageRun>* runs) const;
  bool ReadWords(uint64_t start, uint64_t end, std::vector<PageRun>* runs) const;

  UniqueFd pagemap_;
  mutable Way way_ = Way::kScan;
  mutable uint64_t words_left_ = kMostWords;
};

}  // namespace leakhunt::watch
