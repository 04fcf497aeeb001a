// A snapshot onto disk, whole or not at all: temporary name, fsync, rename, fsync of the directory.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>
#include <zstd.h>

#include <cerrno>
#include <memory>

#include "collector/base/unique_fd.h"
#include "collector/snapshot/file_header.h"
#include "collector/snapshot/message.h"
#include "collector/snapshot/recording.h"

namespace leakhunt::snapshot {
namespace {

constexpr int kCompressionLevel = 3;  // zstd's own default

// In pieces: the bound of what a large message may become is more than the message, and a tenth of it is used.
Result<std::string> Compress(const std::string& message) {
  const std::unique_ptr<ZSTD_CCtx, decltype(&ZSTD_freeCCtx)> context(ZSTD_createCCtx(), ZSTD_freeCCtx);
  if (context == nullptr) return Error{"cannot compress: no memory"};
  ZSTD_CCtx_setParameter(context.get(), ZSTD_c_compressionLevel, kCompressionLevel);
  ZSTD_CCtx_setPledgedSrcSize(context.get(), message.size());
  std::string payload, piece(ZSTD_CStreamOutSize(), '\0');
  ZSTD_inBuffer in{message.data(), message.size(), 0};
  for (size_t left = 1; left != 0;) {
    ZSTD_outBuffer out{piece.data(), piece.size(), 0};
    left = ZSTD_compressStream2(context.get(), &out, &in, ZSTD_e_end);
    if (ZSTD_isError(left)) return Error{fmt::format("cannot compress: {}", ZSTD_getErrorName(left))};
    payload.append(piece.data(), out.pos);
  }
  return payload;
}

bool WriteAll(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    ssize_t wrote = ::write(fd, bytes.data(), bytes.size());
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0) return false;
    bytes.remove_prefix(static_cast<size_t>(wrote));
  }
  return true;
}

// The rename is on disk only when the directory is. Some file systems refuse fsync of a directory: not an error.
void SyncDirectory(const std::filesystem::path& directory) {
  UniqueFd fd(::open(directory.empty() ? "." : directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (fd.Valid()) (void)::fsync(fd.Get());
}

Status WriteTemporary(const std::filesystem::path& temporary, std::string_view header, std::string_view payload) {
  ::unlink(temporary.c_str());  // left by a collector that was killed
  UniqueFd fd(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!fd.Valid()) return ErrnoError(fmt::format("cannot create {}", temporary.string()), errno);
  if (!WriteAll(fd.Get(), header) || !WriteAll(fd.Get(), payload) || ::fsync(fd.Get()) != 0) {
    return ErrnoError(fmt::format("cannot write {}", temporary.string()), errno);
  }
  return Ok();
}

}  // namespace

Status WriteSnapshot(const Snapshot& snapshot, const std::filesystem::path& file) {
  if (Status valid = Validate(snapshot); !valid) return std::move(valid.error()).Wrap("cannot write " + file.string());
  std::string message = EncodeMessage(snapshot);
  if (message.size() > kMaxMessageBytes) {
    return Error{fmt::format("cannot write {}: {} bytes are more than a reader takes", file.string(), message.size())};
  }
  Result<std::string> payload = Compress(message);
  if (!payload) return std::move(payload.error()).Wrap("cannot write " + file.string());
  FileHeader header{.number = snapshot.number,
                    .time_ms = snapshot.time_ms,
                    .payload_bytes = payload->size(),
                    .message_bytes = message.size(),
                    .payload_hash = XXH3_64bits(payload->data(), payload->size())};
  std::filesystem::path temporary = file;
  temporary += ".tmp";
  Status written = WriteTemporary(temporary, EncodeHeader(header), *payload);
  if (written && ::rename(temporary.c_str(), file.c_str()) != 0) {
    written = ErrnoError(fmt::format("cannot rename {}", temporary.string()), errno);
  }
  if (!written) {
    ::unlink(temporary.c_str());
    return written;
  }
  SyncDirectory(file.parent_path());
  return Ok();
}

}  // namespace leakhunt::snapshot
