#include "collector/snapshot/staged_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include <cerrno>

#include "collector/snapshot/file_header.h"

namespace leakhunt::snapshot {
namespace {

void FreeHash(XXH3_state_s* state) { XXH3_freeState(state); }

// The rename is on disk only when the directory is. Some file systems refuse fsync of a directory: not an error.
void SyncDirectory(const std::filesystem::path& directory) {
  UniqueFd fd(::open(directory.empty() ? "." : directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (fd.Valid()) (void)::fsync(fd.Get());
}

}  // namespace

StagedFile::StagedFile(std::filesystem::path file)
    : file_(std::move(file)), temporary_(file_), hash_(XXH3_createState(), FreeHash) {
  temporary_ += ".tmp";
  if (hash_ == nullptr) status_ = Error{"cannot hash: no memory"};
  else XXH3_64bits_reset(hash_.get());
}

StagedFile::~StagedFile() {
  if (fd_.Valid()) ::unlink(temporary_.c_str());
}

Status StagedFile::Create() {
  ::unlink(temporary_.c_str());  // left by a collector that was killed
  fd_ = UniqueFd(::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!fd_.Valid()) return ErrnoError(fmt::format("cannot create {}", temporary_.string()), errno);
  return Ok();
}

Status StagedFile::WriteAt(uint64_t offset, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t wrote = ::pwrite(fd_.Get(), bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0) return ErrnoError(fmt::format("cannot write {}", temporary_.string()), errno);
    bytes.remove_prefix(static_cast<size_t>(wrote));
    offset += static_cast<uint64_t>(wrote);
  }
  return Ok();
}

Status StagedFile::Append(std::string_view payload) {
  if (status_ && !fd_.Valid()) status_ = Create();
  if (status_) status_ = WriteAt(kHeaderBytes + payload_bytes_, payload);
  if (!status_) return status_;
  payload_bytes_ += payload.size();
  XXH3_64bits_update(hash_.get(), payload.data(), payload.size());
  return Ok();
}

uint64_t StagedFile::PayloadHash() const { return hash_ == nullptr ? 0 : XXH3_64bits_digest(hash_.get()); }

Status StagedFile::Commit(std::string_view header) {
  if (status_ && !fd_.Valid()) status_ = Create();
  if (status_) status_ = WriteAt(0, header);
  if (!status_) return status_;
  if (::fsync(fd_.Get()) != 0) return status_ = ErrnoError(fmt::format("cannot write {}", temporary_.string()), errno);
  if (::rename(temporary_.c_str(), file_.c_str()) != 0) {
    return status_ = ErrnoError(fmt::format("cannot rename {}", temporary_.string()), errno);
  }
  fd_ = UniqueFd();
  SyncDirectory(file_.parent_path());
  return Ok();
}

}  // namespace leakhunt::snapshot
