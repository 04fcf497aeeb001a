#include "collector/ledger/page_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string>

#include "collector/base/turns.h"

namespace leakhunt::ledger {

namespace {

constexpr uint64_t kHeaderOffset = protocol::kPageBytes;
constexpr uint64_t kSmallestFile = 3 * protocol::kPageBytes;  // extent header and process header

Status CheckKind(int fd) {
  struct stat status {};
  if (::fstat(fd, &status) != 0) return ErrnoError("cannot look at the shared pages", errno);
  if (!S_ISREG(status.st_mode)) return Error{"the shared pages are not a regular file"};
  struct statfs system {};
  if (::fstatfs(fd, &system) != 0) return ErrnoError("cannot look at the shared pages", errno);
  if (system.f_type != TMPFS_MAGIC) return Error{"the shared pages do not live in memory"};
  const int seals = ::fcntl(fd, F_GET_SEALS);
  if (seals < 0 || (seals & F_SEAL_SHRINK) == 0) return Error{"the shared pages are not sealed against shrinking"};
  return Ok();
}

template <size_t N>
void Terminate(char (&text)[N]) {
  text[N - 1] = '\0';
}

}  // namespace

Result<PageFile> PageFile::Open(UniqueFd memfd) {
  if (Status kind = CheckKind(memfd.Get()); !kind) return std::move(kind).error();
  PageFile file(std::move(memfd));
  if (Status size = file.RefreshSize(); !size) return std::move(size).error();
  if (Result<protocol::ProcessHeader> header = file.ReadHeader(); !header) return std::move(header).error();
  return file;
}

bool PageFile::Read(uint64_t offset, void* into, size_t bytes) const {
  Turns::Pause();
  if (offset > size_bytes_ || bytes > size_bytes_ - offset) return false;
  char* at = static_cast<char*>(into);
  while (bytes > 0) {
    const ssize_t got = ::pread(memfd_.Get(), at, bytes, static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return false;
    at += got;
    offset += static_cast<uint64_t>(got);
    bytes -= static_cast<size_t>(got);
  }
  return true;
}

uint64_t PageFile::SkipHole(uint64_t offset, uint64_t end) const {
  Turns::Pause();
  const off_t data = ::lseek(memfd_.Get(), static_cast<off_t>(offset), SEEK_DATA);
  if (data < 0) return errno == ENXIO ? end : offset;
  return std::min(static_cast<uint64_t>(data), end);
}

uint64_t PageFile::SkipData(uint64_t offset, uint64_t end) const {
  const off_t hole = offset < end ? ::lseek(memfd_.Get(), static_cast<off_t>(offset), SEEK_HOLE) : -1;
  if (hole < 0) return end;
  return std::clamp(static_cast<uint64_t>(hole), std::min(end, offset + protocol::kPageBytes), end);
}

Status PageFile::RefreshSize() {
  struct stat status {};
  if (::fstat(memfd_.Get(), &status) != 0) return ErrnoError("cannot look at the shared pages", errno);
  size_bytes_ = static_cast<uint64_t>(status.st_size);
  return Ok();
}

Result<protocol::ProcessHeader> PageFile::ReadHeader() const {
  // Points are counted in one read and taken from the next: within one, they might be older than their number (see
  // slot_copier.h).
  protocol::ProcessHeader seen, header;
  if (size_bytes_ < kSmallestFile || !Read(kHeaderOffset, &seen, sizeof(seen)) ||
      !Read(kHeaderOffset, &header, sizeof(header))) {
    return Error{fmt::format("the shared pages are too short: {} bytes", size_bytes_)};
  }
  if (header.magic != protocol::kLayoutMagic) return Error{"the shared pages have no process header"};
  if (header.version < protocol::kOldestLayoutVersion || header.version > protocol::kLayoutVersion) {
    return Error{fmt::format("the shared pages are of layout version {}, this collector reads versions {} to {}",
                             header.version, protocol::kOldestLayoutVersion, protocol::kLayoutVersion)};
  }
  header.activity_points = std::min({header.activity_points, seen.activity_points, protocol::kActivityPoints});
  header.sampling_points = std::min({header.sampling_points, seen.sampling_points, protocol::kSamplingPoints});
  header.command_bytes = std::min<uint32_t>(header.command_bytes, sizeof(header.command));
  header.extents = std::min(header.extents, protocol::kMaxExtents);
  Terminate(header.name);
  Terminate(header.executable);
  Terminate(header.output);
  return header;
}

}  // namespace leakhunt::ledger
