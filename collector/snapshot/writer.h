// A snapshot on its way to disk: its rows as they are made, then everything else. What is compressed goes to the file at
// once, so that very many rows take no memory.
#pragma once

#include <array>
#include <filesystem>
#include <string>

#include "collector/base/result.h"
#include "collector/snapshot/compressor.h"
#include "collector/snapshot/model.h"
#include "collector/snapshot/row_check.h"
#include "collector/snapshot/rows.h"
#include "collector/snapshot/staged_file.h"

namespace leakhunt::snapshot {

class SnapshotWriter final : public Rows {
 public:
  // Of the snapshot that will be `file`. Without Write nothing is left of it.
  explicit SnapshotWriter(const std::filesystem::path& file);

  void Add(const Stack& stack) override;
  void Add(const Site& site) override;

  // Live bytes of the sites of this kind so far.
  double LiveBytes(SiteKind kind) const { return live_bytes_[static_cast<size_t>(kind)]; }

  // Bytes and blocks that the heap's sites so far have handed out since the start.
  double HeapTotalBytes() const { return heap_total_bytes_; }
  double HeapTotalCount() const { return heap_total_count_; }

  // Adds `snapshot`, whose own rows are left out, and makes the file. Atomically: temporary name in the same directory,
  // fsync, rename, mode 0600. On error nothing is under the final name. Call once.
  Status Write(const Snapshot& snapshot);

 private:
  std::string context_;  // of errors
  RowCheck check_;
  StagedFile staged_;
  Compressor compressor_;
  std::string row_;  // the one in hand, encoded
  std::array<double, 3> live_bytes_{};
  double heap_total_bytes_ = 0, heap_total_count_ = 0;
};

}  // namespace leakhunt::snapshot
