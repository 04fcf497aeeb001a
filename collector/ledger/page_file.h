// The memfd of one guest, read by copying.
//
// pread only: a mapping of a stranger's file can fault, and reading a hole through one allocates it. The size is asked
// again before each capture; the seal promises that it never falls.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "collector/base/result.h"
#include "collector/base/unique_fd.h"
#include "preload/protocol/layout.h"

namespace leakhunt::ledger {

class PageFile {
 public:
  // Checks file system type, seals, size, magic and version.
  static Result<PageFile> Open(UniqueFd memfd);

  // Copies `bytes` from `offset`. False when the file does not have them all (then `into` is undefined).
  bool Read(uint64_t offset, void* into, size_t bytes) const;

  // The first offset in [offset, end) that may hold something; `end` when all of it is a hole.
  uint64_t SkipHole(uint64_t offset, uint64_t end) const;

  // Calls visit(uint64_t offset) for every page in [begin, end) that is no hole, in rising order, until it returns false.
  // `begin` is page-aligned. So the cost is that of the pages which are really there.
  template <class Visit>
  void ForEachPage(uint64_t begin, uint64_t end, Visit&& visit) const {
    for (uint64_t at = begin; at < end;) {
      const uint64_t data = SkipHole(at, end);
      at = std::max(at, data - data % protocol::kPageBytes);
      for (const uint64_t hole = SkipData(at, end); at < hole; at += protocol::kPageBytes) {
        if (!visit(at)) return;
      }
    }
  }

  // The file's size as last asked.
  uint64_t size_bytes() const { return size_bytes_; }
  Status RefreshSize();

  // Copy with counts clamped to their arrays and texts terminated. Points added meanwhile may be missing.
  Result<protocol::ProcessHeader> ReadHeader() const;

 private:
  // The end of the pages that are there at `offset`: a hole's first offset, or `end`; always beyond `offset`.
  uint64_t SkipData(uint64_t offset, uint64_t end) const;

  explicit PageFile(UniqueFd memfd) : memfd_(std::move(memfd)) {}

  UniqueFd memfd_;
  uint64_t size_bytes_ = 0;
};

}  // namespace leakhunt::ledger
