// Snapshot bytes in memory; the entry for fuzzing. Files: recording.h.
#pragma once

#include <filesystem>
#include <string_view>

#include "collector/base/result.h"
#include "collector/snapshot/model.h"

namespace leakhunt::snapshot {

// `bytes`: a whole file. `file` appears in messages only.
Result<Snapshot> ParseSnapshot(std::string_view bytes, const std::filesystem::path& file);

}  // namespace leakhunt::snapshot
