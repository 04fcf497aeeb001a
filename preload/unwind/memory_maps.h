// Reads /proc/thread-self/maps without allocation: which mapping holds an address, which file is mapped there.
//
// Async-signal-safe and safe in forked children; takes no lock. Costs microseconds to a fraction of a millisecond:
// for moments, not for paths.
#pragma once

#include <cstdint>

namespace leakhunt::unwind {

struct Mapping {
  uint64_t start = 0, end = 0, offset = 0;
  uint64_t device = 0, inode = 0;  // 0 = anonymous
  bool readable = false, writable = false, executable = false;
  char path[200] = {};             // truncated; "" = anonymous
};

// Streams the file's lines through a small buffer on the caller's stack (about 1.3 KiB in all).
class MapsReader {
 public:
  MapsReader();
  ~MapsReader();
  MapsReader(const MapsReader&) = delete;
  MapsReader& operator=(const MapsReader&) = delete;

  // False at the end, or when the file cannot be read.
  [[nodiscard]] bool Next(Mapping* mapping);

 private:
  int Get();  // next character; -1 at the end
  uint64_t Number(unsigned base, int* terminator);

  int fd_;
  uint32_t at_ = 0, size_ = 0;
  char buffer_[1024];
};

// The mapping that holds `address`. By one ioctl where the kernel has it (6.11), else by reading.
[[nodiscard]] bool FindMapping(uint64_t address, Mapping* mapping);

}  // namespace leakhunt::unwind
