// Snapshot <-> protobuf bytes, without file, compression or checksum.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "collector/base/result.h"
#include "collector/snapshot/model.h"

namespace leakhunt::snapshot {

// Largest message a reader accepts, and the most memory it spends on the structs decoded from one.
inline constexpr uint64_t kMaxMessageBytes = uint64_t{256} << 20;
inline constexpr uint64_t kMaxDecodedBytes = uint64_t{1} << 30;

std::string EncodeMessage(const Snapshot& snapshot);

// Any bytes give a Snapshot that passes Validate, or an Error whose message is only the reason ("damaged: …").
Result<Snapshot> DecodeMessage(std::string_view message);

// Every index points into its list, every figure is finite and not negative, every enum has a name.
// Error: the reason, without the file ("site 3 names stack 77 of 12").
Status Validate(const Snapshot& snapshot);

}  // namespace leakhunt::snapshot
