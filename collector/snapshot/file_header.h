// The 64 bytes in front of every snapshot file: what it is, how long it is, what it should hash to.
//
// Little-endian words at fixed offsets; FORMAT.md is the specification. Number and time are here too, so that
// retention and selection need not decompress a file.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include "collector/base/result.h"

namespace leakhunt::snapshot {

inline constexpr std::string_view kMagic("\x89LHSNAP\n", 8);
inline constexpr uint32_t kFormatVersion = 1;
inline constexpr size_t kHeaderBytes = 64;

struct FileHeader {
  uint32_t number = 0;         // of the snapshot
  int64_t time_ms = 0;         // of the snapshot
  uint64_t payload_bytes = 0;  // compressed, right after the header to the end of the file
  uint64_t message_bytes = 0;  // after decompression
  uint64_t payload_hash = 0;   // XXH3-64 of the compressed payload
};

std::string EncodeHeader(const FileHeader& header);

// `bytes`: the start of the file. `file`: only for messages. Checks magic, version and the header's own checksum.
Result<FileHeader> DecodeHeader(std::string_view bytes, const std::filesystem::path& file);

// Reads the header of a snapshot file; whether the rest is whole is for ReadSnapshot to say.
Result<FileHeader> ReadHeader(const std::filesystem::path& file);

}  // namespace leakhunt::snapshot
