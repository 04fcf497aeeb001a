// The memfd of one guest, read by copying.
//
// pread only: a mapping of a stranger's file can fault, and reading a hole through one allocates it. The size is asked
// again before each capture; the seal promises that it never falls.
#pragma once

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

  // The file's size as last asked.
  uint64_t size_bytes() const { return size_bytes_; }
  Status RefreshSize();

  // Copy with counts clamped to their arrays and texts terminated. Points added meanwhile may be missing.
  Result<protocol::ProcessHeader> ReadHeader() const;

 private:
  explicit PageFile(UniqueFd memfd) : memfd_(std::move(memfd)) {}

  UniqueFd memfd_;
  uint64_t size_bytes_ = 0;
};

}  // namespace leakhunt::ledger
