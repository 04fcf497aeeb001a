// A snapshot onto disk, whole or not at all: temporary name, fsync, rename, fsync of the directory.
#include "collector/snapshot/writer.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include <cerrno>

#include "collector/base/unique_fd.h"
#include "collector/snapshot/file_header.h"
#include "collector/snapshot/message.h"
#include "collector/snapshot/recording.h"

namespace leakhunt::snapshot {
namespace {

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

void SnapshotWriter::Add(const Stack& stack) {
  check_.Add(stack);
  row_.clear();
  EncodeRow(stack, &row_);
  compressor_.Add(row_);
}

void SnapshotWriter::Add(const Site& site) {
  check_.Add(site);
  if (const auto kind = static_cast<size_t>(site.kind); kind < live_bytes_.size()) {
    live_bytes_[kind] += site.live_bytes.value;
  }
  row_.clear();
  EncodeRow(site, &row_);
  compressor_.Add(row_);
}

Status SnapshotWriter::Write(const Snapshot& snapshot, const std::filesystem::path& file) {
  const std::string context = "cannot write " + file.string();
  if (Status valid = check_.Finish(snapshot); !valid) return std::move(valid.error()).Wrap(context);
  compressor_.Add(EncodeRest(snapshot));
  const uint64_t message_bytes = compressor_.TakenBytes();
  if (message_bytes > kMaxMessageBytes) {
    return Error{fmt::format("{}: {} bytes are more than a reader takes", context, message_bytes)};
  }
  Result<std::string> payload = compressor_.Finish();
  if (!payload) return std::move(payload.error()).Wrap(context);
  FileHeader header{.number = snapshot.number,
                    .time_ms = snapshot.time_ms,
                    .payload_bytes = payload->size(),
                    .message_bytes = message_bytes,
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

Status WriteSnapshot(const Snapshot& snapshot, const std::filesystem::path& file) {
  SnapshotWriter writer;
  AddRows(snapshot, &writer);
  return writer.Write(snapshot, file);
}

}  // namespace leakhunt::snapshot
