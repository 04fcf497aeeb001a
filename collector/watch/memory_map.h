// A process's memory map with what of it is in memory, from the text of /proc/PID/smaps.
//
// Pure functions over foreign text. The kernel does not say whose an anonymous mapping is; the rules are:
//   stack     [stack], and anonymous mappings directly above a guard (no access, at most 64 KiB), as pthreads make them
//   leakhunt  mappings of /memfd:leakhunt
//   file      mappings of files: text, data, page cache; the executable's .bss
//   shared    shared anonymous memory, SysV and POSIX segments, other memfds
//   anonymous the rest: [heap], allocator arenas, the program's own anonymous mappings
// Written (copied) pages of private file mappings count as file, like the pages beside them.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace leakhunt::watch {

enum class MemoryClass : uint8_t { kAnonymous, kStack, kFile, kShared, kLeakhunt };
inline constexpr int kMemoryClasses = 5;

// One mapping of the kernel's. Bytes in memory count towards RSS; huge pages of hugetlbfs do not, and swapped ones neither.
struct MemoryArea {
  uint64_t start = 0, end = 0;
  MemoryClass kind = MemoryClass::kAnonymous;
  uint64_t rss_bytes = 0, swap_bytes = 0, hugetlb_bytes = 0;
};

struct MemoryMap {
  std::vector<MemoryArea> areas;  // by address, not overlapping
  uint64_t pss_bytes = 0;

  uint64_t RssBytes() const;
  uint64_t RssBytesOf(MemoryClass kind) const;
};

// Lines that are not understood are left out; so are mappings that do not follow in rising order.
MemoryMap ParseMemoryMap(std::string_view smaps);

}  // namespace leakhunt::watch
