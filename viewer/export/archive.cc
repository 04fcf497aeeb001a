// POSIX ustar headers around file contents; see archive.h.
#include "viewer/export/archive.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <vector>

#include "collector/base/unique_fd.h"

namespace leakhunt::viewer {
namespace {

namespace fs = std::filesystem;

constexpr size_t kBlock = 512;

struct Header {
  char name[100], mode[8], uid[8], gid[8], size[12], time[12], checksum[8], type, link[100], magic[6], version[2],
      user[32], group[32], major[8], minor[8], prefix[155], padding[12];
};
static_assert(sizeof(Header) == kBlock);

// A name longer than 100 bytes is split at a '/', the first part at most 155.
bool SetName(const std::string& name, Header* header) {
  if (name.size() <= sizeof(header->name)) {
    std::memcpy(header->name, name.data(), name.size());
    return true;
  }
  const size_t slash = name.find('/', name.size() - sizeof(header->name) - 1);
  if (slash == std::string::npos || slash > sizeof(header->prefix)) return false;
  std::memcpy(header->prefix, name.data(), slash);
  std::memcpy(header->name, name.data() + slash + 1, name.size() - slash - 1);
  return true;
}

void SetSize(uint64_t size, Header* header) {
  if (size < (uint64_t{1} << 33)) {
    std::snprintf(header->size, sizeof(header->size), "%011llo", static_cast<unsigned long long>(size));
    return;
  }
  header->size[0] = static_cast<char>(0x80);  // base 256, as GNU and POSIX tars read it
  for (int i = 11; i > 3; --i, size >>= 8) header->size[i] = static_cast<char>(size & 0xFF);
}

Result<std::string> MakeHeader(const std::string& name, const struct stat& status) {
  Header header{};
  if (!SetName(name, &header)) return Error{"cannot pack " + name + ": the name is too long"};
  SetSize(static_cast<uint64_t>(status.st_size), &header);
  std::snprintf(header.mode, sizeof(header.mode), "%07o", 0600u);
  std::snprintf(header.uid, sizeof(header.uid), "%07o", 0u);
  std::snprintf(header.gid, sizeof(header.gid), "%07o", 0u);
  std::snprintf(header.time, sizeof(header.time), "%011llo",
                static_cast<unsigned long long>(std::max<int64_t>(status.st_mtime, 0)) & 077777777777ULL);
  header.type = '0';
  std::memcpy(header.magic, "ustar", 6);
  std::memcpy(header.version, "00", 2);
  std::memset(header.checksum, ' ', sizeof(header.checksum));
  const unsigned char* bytes = reinterpret_cast<const unsigned char*>(&header);
  unsigned sum = 0;
  for (size_t i = 0; i < kBlock; ++i) sum += bytes[i];
  std::snprintf(header.checksum, sizeof(header.checksum), "%06o", sum);
  return std::string(reinterpret_cast<const char*>(&header), kBlock);
}

std::vector<fs::path> FilesBelow(const fs::path& directory, std::error_code& error) {
  std::vector<fs::path> files;
  for (fs::recursive_directory_iterator at(directory, error), end; !error && at != end; at.increment(error)) {
    if (at->is_regular_file(error) && !at->is_symlink(error)) files.push_back(at->path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

}  // namespace

Status ArchiveWriter::AddFile(const fs::path& file, const std::string& name) {
  UniqueFd fd(open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  struct stat status;
  if (!fd.Valid() || fstat(fd.Get(), &status) != 0) return ErrnoError("cannot read " + file.string(), errno);
  Result<std::string> header = MakeHeader(name, status);
  if (!header) return std::move(header.error());
  gzip_.Write(*header);
  std::vector<char> buffer(1u << 20);
  uint64_t left = static_cast<uint64_t>(status.st_size);
  while (left > 0) {
    const ssize_t got = read(fd.Get(), buffer.data(), std::min<uint64_t>(left, buffer.size()));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return ErrnoError("cannot read " + file.string(), errno);
    if (got == 0) return Error{"cannot read " + file.string() + ": it became shorter meanwhile"};
    gzip_.Write({buffer.data(), static_cast<size_t>(got)});
    left -= static_cast<uint64_t>(got);
  }
  const size_t rest = static_cast<uint64_t>(status.st_size) % kBlock;
  if (rest != 0) gzip_.Write(std::string(kBlock - rest, '\0'));
  return Ok();
}

Status ArchiveWriter::AddDirectory(const fs::path& directory, const std::string& name) {
  std::error_code error;
  const std::vector<fs::path> files = FilesBelow(directory, error);
  if (error) return Error{"cannot read " + directory.string() + ": " + error.message()};
  for (const fs::path& file : files) {
    Status added = AddFile(file, name + "/" + file.lexically_relative(directory).string());
    if (!added) return added;
  }
  return Ok();
}

void ArchiveWriter::Finish() {
  gzip_.Write(std::string(2 * kBlock, '\0'));
  gzip_.Finish();
}

}  // namespace leakhunt::viewer
