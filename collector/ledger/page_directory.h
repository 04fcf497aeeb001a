// Which areas the shared pages hold: the walk over every extent's directory.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "collector/ledger/page_file.h"
#include "preload/protocol/layout.h"

namespace leakhunt::ledger {

// A run of pages with one purpose. Lies inside one extent and inside the file; areas never overlap.
struct Area {
  uint64_t offset = 0;  // bytes into the file
  uint32_t bytes = 0;
  uint32_t owner = 0;  // thread index, for records and thread tallies
};

class PageDirectory {
 public:
  // Reads the directories of the extents below `extents`. A descriptor that leaves its extent or the file, or has no
  // length, is skipped and counted. At most 4096 bytes are read an extent.
  static PageDirectory Read(const PageFile& file, uint32_t extents);

  // In file order.
  std::span<const Area> Areas(protocol::AreaKind kind) const;

  // Descriptors and extents refused.
  uint64_t refused() const { return refused_; }

 private:
  static constexpr size_t kKinds = 16;

  void ReadExtent(const PageFile& file, uint64_t extent);

  std::vector<Area> areas_[kKinds];
  uint64_t count_ = 0;
  uint64_t refused_ = 0;
};

}  // namespace leakhunt::ledger
