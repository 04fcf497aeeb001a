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

// The same message in parts, which may follow one another in any order: appends one row, or returns all but the rows.
void EncodeRow(const Stack& stack, std::string* message);
void EncodeRow(const Site& site, std::string* message);
std::string EncodeRest(const Snapshot& snapshot);

// Any bytes give a Snapshot that passes Validate, or an Error whose message is only the reason ("damaged: …").
Result<Snapshot> DecodeMessage(std::string_view message);

// Checks all that row_check.h names.
Status Validate(const Snapshot& snapshot);

}  // namespace leakhunt::snapshot
