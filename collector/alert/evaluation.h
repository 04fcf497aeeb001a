// The verdict on one recording, as its files on disk stand: what the alert's line and JSON are made of.
//
// Reads snapshots; runs in the judge's process, never in the collector's loop.
#pragma once

#include <filesystem>

#include "collector/base/result.h"
#include "collector/verdict/alert.h"

namespace leakhunt::alert {

// At most kMostSnapshots of the recording's are read, evenly spread, the newest always among them.
inline constexpr size_t kMostSnapshots = 120;

Result<verdict::AlertInput> Evaluate(const std::filesystem::path& recording);

}  // namespace leakhunt::alert
