// What --track takes: which kinds of records a program keeps.
#pragma once

#include <cstdint>
#include <string>

#include "collector/base/result.h"

namespace leakhunt {

// "heap,mmap,handles,threads" or "all": protocol::TrackMask.
Result<uint32_t> ParseTrack(const std::string& text);

}  // namespace leakhunt
