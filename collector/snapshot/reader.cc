// A snapshot from disk. Nothing in the file is believed before it is checked: header, length, checksum, size after
// decompression, indices.
#include "collector/snapshot/reader.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>
#include <zstd.h>

#include <cerrno>

#include "collector/base/unique_fd.h"
#include "collector/snapshot/file_header.h"
#include "collector/snapshot/message.h"
#include "collector/snapshot/recording.h"

namespace leakhunt::snapshot {
namespace {

constexpr int64_t kMaxFileBytes = static_cast<int64_t>(kMaxMessageBytes) + (1 << 20);

Result<std::string> ReadFile(const std::filesystem::path& file) {
  UniqueFd fd(::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  struct stat status;
  if (!fd.Valid() || ::fstat(fd.Get(), &status) != 0) {
    return ErrnoError(fmt::format("cannot read {}", file.string()), errno);
  }
  if (!S_ISREG(status.st_mode)) return Error{fmt::format("cannot read {}: not a file", file.string())};
  if (status.st_size > kMaxFileBytes) return Error{fmt::format("{} is not a leakhunt snapshot", file.string())};
  std::string bytes(static_cast<size_t>(status.st_size), '\0');
  size_t have = 0;
  while (have < bytes.size()) {
    ssize_t got = ::read(fd.Get(), bytes.data() + have, bytes.size() - have);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return ErrnoError(fmt::format("cannot read {}", file.string()), errno);
    if (got == 0) break;
    have += static_cast<size_t>(got);
  }
  bytes.resize(have);
  return bytes;
}

// Grows with what really comes out, so that a file that only claims a large size costs little.
Result<std::string> Decompress(std::string_view payload, uint64_t message_bytes) {
  if (message_bytes > kMaxMessageBytes) return Error{"damaged: more than any recording has"};
  std::unique_ptr<ZSTD_DStream, decltype(&ZSTD_freeDStream)> stream(ZSTD_createDStream(), &ZSTD_freeDStream);
  if (!stream) return Error{"out of memory"};
  ZSTD_DCtx_setParameter(stream.get(), ZSTD_d_windowLogMax, 27);
  std::string message;
  ZSTD_inBuffer in{payload.data(), payload.size(), 0};
  std::string chunk(ZSTD_DStreamOutSize(), '\0');
  for (size_t more = 1; more != 0;) {
    ZSTD_outBuffer out{chunk.data(), chunk.size(), 0};
    more = ZSTD_decompressStream(stream.get(), &out, &in);
    if (ZSTD_isError(more)) return Error{fmt::format("damaged: {}", ZSTD_getErrorName(more))};
    if (message.size() + out.pos > message_bytes) return Error{"damaged: longer than it says"};
    message.append(chunk.data(), out.pos);
    if (more != 0 && out.pos == 0 && in.pos == in.size) return Error{"damaged: the compressed data ends early"};
  }
  if (message.size() != message_bytes) return Error{"damaged: shorter than it says"};
  return message;
}

}  // namespace

Result<Snapshot> ParseSnapshot(std::string_view bytes, const std::filesystem::path& file) {
  Result<FileHeader> header = DecodeHeader(bytes, file);
  if (!header) return std::move(header.error());
  std::string_view payload = bytes.substr(kHeaderBytes);
  std::string context = "cannot read " + file.string();
  if (payload.size() < header->payload_bytes) {
    return Error{fmt::format("{}: truncated at {} of {} bytes", context, bytes.size(),
                             kHeaderBytes + header->payload_bytes)};
  }
  if (payload.size() > header->payload_bytes) {
    return Error{fmt::format("{}: damaged: {} bytes follow its end", context, payload.size() - header->payload_bytes)};
  }
  if (XXH3_64bits(payload.data(), payload.size()) != header->payload_hash) {
    return Error{fmt::format("{}: damaged: the contents do not match the checksum", context)};
  }
  Result<std::string> message = Decompress(payload, header->message_bytes);
  if (!message) return std::move(message.error()).Wrap(context);
  Result<Snapshot> snapshot = DecodeMessage(*message);
  if (!snapshot) return std::move(snapshot.error()).Wrap(context);
  return snapshot;
}

Result<Snapshot> ReadSnapshot(const std::filesystem::path& file) {
  Result<std::string> bytes = ReadFile(file);
  if (!bytes) return std::move(bytes.error());
  return ParseSnapshot(*bytes, file);
}

}  // namespace leakhunt::snapshot
