#include "collector/snapshot/file_header.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <xxhash.h>

#include <cerrno>

#include "collector/base/unique_fd.h"

namespace leakhunt::snapshot {
namespace {

void PutWord(std::string& out, uint64_t value, int bytes) {
  for (int i = 0; i < bytes; ++i) out.push_back(static_cast<char>(value >> (8 * i)));
}

uint64_t GetWord(std::string_view bytes, size_t offset, int width) {
  uint64_t value = 0;
  for (int i = 0; i < width; ++i) value |= uint64_t{static_cast<uint8_t>(bytes[offset + i])} << (8 * i);
  return value;
}

constexpr size_t kChecked = kHeaderBytes - 8;  // the last word is the hash of what is before it

}  // namespace

std::string EncodeHeader(const FileHeader& header) {
  std::string out(kMagic);
  PutWord(out, kFormatVersion, 4);
  PutWord(out, kHeaderBytes, 4);
  PutWord(out, header.payload_bytes, 8);
  PutWord(out, header.message_bytes, 8);
  PutWord(out, header.payload_hash, 8);
  PutWord(out, static_cast<uint64_t>(header.time_ms), 8);
  PutWord(out, header.number, 4);
  PutWord(out, 0, 4);
  PutWord(out, XXH3_64bits(out.data(), out.size()), 8);
  return out;
}

Result<FileHeader> DecodeHeader(std::string_view bytes, const std::filesystem::path& file) {
  std::string_view magic = bytes.substr(0, kMagic.size());
  if (magic.empty()) return Error{fmt::format("cannot read {}: the file is empty", file.string())};
  if (magic != kMagic.substr(0, magic.size())) {
    return Error{fmt::format("{} is not a leakhunt snapshot", file.string())};
  }
  if (bytes.size() < kMagic.size() + 4) {
    return Error{fmt::format("cannot read {}: truncated at {} of at least {} bytes", file.string(), bytes.size(),
                             kHeaderBytes)};
  }
  if (uint64_t version = GetWord(bytes, 8, 4); version != kFormatVersion) {
    return Error{fmt::format("{}: written by {} leakhunt (format {}; this one reads {})", file.string(),
                             version > kFormatVersion ? "a newer" : "another", version, kFormatVersion)};
  }
  if (bytes.size() < kHeaderBytes) {
    return Error{fmt::format("cannot read {}: truncated at {} of at least {} bytes", file.string(), bytes.size(),
                             kHeaderBytes)};
  }
  if (XXH3_64bits(bytes.data(), kChecked) != GetWord(bytes, kChecked, 8)) {
    return Error{fmt::format("cannot read {}: damaged: the header does not match its checksum", file.string())};
  }
  FileHeader header;
  header.payload_bytes = GetWord(bytes, 16, 8);
  header.message_bytes = GetWord(bytes, 24, 8);
  header.payload_hash = GetWord(bytes, 32, 8);
  header.time_ms = static_cast<int64_t>(GetWord(bytes, 40, 8));
  header.number = static_cast<uint32_t>(GetWord(bytes, 48, 4));
  return header;
}

Result<FileHeader> ReadHeader(const std::filesystem::path& file) {
  UniqueFd fd(::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!fd.Valid()) return ErrnoError(fmt::format("cannot read {}", file.string()), errno);
  char bytes[kHeaderBytes];
  ssize_t got = ::pread(fd.Get(), bytes, sizeof bytes, 0);
  if (got < 0) return ErrnoError(fmt::format("cannot read {}", file.string()), errno);
  return DecodeHeader({bytes, static_cast<size_t>(got)}, file);
}

}  // namespace leakhunt::snapshot
