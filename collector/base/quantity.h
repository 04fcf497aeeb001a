// Quantities as people type them: durations, sizes, percentages.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "collector/base/result.h"

namespace leakhunt {

// "500ms", "30s", "5m", "2h", "1d"; a bare number is seconds. Milliseconds, above zero.
Result<int64_t> ParseDuration(const std::string& text);

// "4096", "64K", "2G", "1.5GiB", "10MB" (powers of 1024 all). Bytes.
Result<uint64_t> ParseSize(const std::string& text);

// "2G,4G,6G", returned ascending.
Result<std::vector<uint64_t>> ParseSizeList(const std::string& text);

// "1%" or "1": parts per million, above 0 and at most 100 %.
Result<uint32_t> ParsePercent(const std::string& text);

}  // namespace leakhunt
