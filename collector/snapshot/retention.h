// Which snapshots of a recording stay when the disk ceiling is reached.
#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

#include "collector/base/result.h"

namespace leakhunt::snapshot {

struct StoredSnapshot {
  std::filesystem::path file;
  int64_t time_ms = 0;
  uint64_t size_bytes = 0;
};

// Indices of what to remove so that the rest fits `max_bytes`; nothing when it fits already. `stored` is in number order.
// All of the hour before the newest, then one an hour for a day, then one a day stay longest; if that is still too
// much, they are thinned too, the ones most crowded for their age first. The first and the last are never removed,
// even when those two alone are over the ceiling.
std::vector<size_t> ChooseRemovals(const std::vector<StoredSnapshot>& stored, uint64_t max_bytes);

// Applies ChooseRemovals to one recording's directory. A file that cannot be read counts with its modification time.
// Error: the first file that could not be removed.
Status Thin(const std::filesystem::path& directory, uint64_t max_bytes);

}  // namespace leakhunt::snapshot
