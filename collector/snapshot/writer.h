// A snapshot on its way to disk: its rows as they are made, then everything else and the file.
#pragma once

#include <array>
#include <filesystem>
#include <string>

#include "collector/base/result.h"
#include "collector/snapshot/compressor.h"
#include "collector/snapshot/model.h"
#include "collector/snapshot/row_check.h"
#include "collector/snapshot/rows.h"

namespace leakhunt::snapshot {

class SnapshotWriter final : public Rows {
 public:
  void Add(const Stack& stack) override;
  void Add(const Site& site) override;

  // Live bytes of the sites of this kind so far.
  double LiveBytes(SiteKind kind) const { return live_bytes_[static_cast<size_t>(kind)]; }

  // Writes the rows so far and `snapshot`, whose own rows are left out. Atomically: temporary name in the same
  // directory, fsync, rename, mode 0600. On error nothing is under the final name. Call once.
  Status Write(const Snapshot& snapshot, const std::filesystem::path& file);

 private:
  RowCheck check_;
  Compressor compressor_;
  std::string row_;  // the one in hand, encoded
  std::array<double, 3> live_bytes_{};
};

}  // namespace leakhunt::snapshot
