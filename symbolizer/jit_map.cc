// Reading perf maps; see jit_map.h.
#include "symbolizer/jit_map.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>

#include "collector/base/unique_fd.h"

namespace leakhunt::symbolizer {
namespace {

constexpr size_t kLargestFile = 512u << 20;
constexpr size_t kMostNames = 8'000'000;
constexpr size_t kLongestName = 4096;

Result<std::string> ReadWhole(const std::string& path) {
  UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  struct stat status;
  if (!fd.Valid() || fstat(fd.Get(), &status) != 0) return ErrnoError("cannot read " + path, errno);
  if (!S_ISREG(status.st_mode)) return Error{"cannot read " + path + ": not a regular file"};
  std::string text;
  char buffer[65536];
  while (text.size() < kLargestFile) {
    const ssize_t got = read(fd.Get(), buffer, sizeof(buffer));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return ErrnoError("cannot read " + path, errno);
    if (got == 0) return text;
    text.append(buffer, got);
  }
  return Error{"cannot read " + path + ": larger than " + std::to_string(kLargestFile >> 20) + " MiB"};
}

// Reads a hex number and the blanks after it.
bool ReadHex(const char** at, const char* end, uint64_t* value) {
  if (end - *at > 2 && (*at)[0] == '0' && ((*at)[1] | 0x20) == 'x') *at += 2;
  const auto [stop, error] = std::from_chars(*at, end, *value, 16);
  if (error != std::errc() || stop == end || *stop != ' ') return false;
  *at = stop;
  while (*at < end && **at == ' ') ++*at;
  return true;
}

}  // namespace

Status JitMap::Add(const std::string& path) {
  Result<std::string> text = ReadWhole(path);
  if (!text) return std::move(text).error();
  const char* at = text->data();
  const char* end = at + text->size();
  while (at < end) {
    const char* stop = static_cast<const char*>(std::memchr(at, '\n', end - at));
    if (stop == nullptr) stop = end;
    if (stop > at) AddLine(at, stop);
    at = stop + 1;
  }
  stale_ = true;
  return Ok();
}

void JitMap::AddLine(const char* at, const char* end) {
  uint64_t start = 0, size = 0;
  if (names_.size() >= kMostNames || !ReadHex(&at, end, &start) || !ReadHex(&at, end, &size) || at == end || size == 0 ||
      start + size < start) {
    ++bad_lines_;
    return;
  }
  const uint32_t order = static_cast<uint32_t>(names_.size());
  ranges_.push_back(AddressRange{start, start + size, order, static_cast<int32_t>(order)});
  names_.emplace_back(at, std::min<size_t>(end - at, kLongestName));
}

const std::string& JitMap::Find(uint64_t address) {
  static const std::string kNone;
  if (stale_) {
    map_ = AddressMap(ranges_);
    stale_ = false;
  }
  const int32_t name = map_.Find(address);
  return name < 0 ? kNone : names_[name];
}

}  // namespace leakhunt::symbolizer
