// A process's resident memory by class, from the text of /proc/PID/smaps.
//
// Pure functions over foreign text. The kernel does not say whose an anonymous mapping is; the rules are:
//   stack     [stack], and anonymous mappings directly above a guard (no access, at most 64 KiB), as pthreads make them
//   leakhunt  mappings of /memfd:leakhunt
//   file      mappings of files: text, data, page cache
//   shared    shared anonymous memory, SysV and POSIX segments, other memfds
//   anonymous the rest: [heap], allocator arenas, the program's own anonymous mappings, written private file pages
#pragma once

#include <cstdint>
#include <string_view>

namespace leakhunt::watch {

// Resident bytes each; the classes add up to rss_bytes. Written (copied) pages of private file mappings count as
// file, like the pages beside them.
struct MemoryClasses {
  uint64_t rss_bytes = 0;
  uint64_t pss_bytes = 0;
  uint64_t swap_bytes = 0;
  uint64_t stack_bytes = 0;
  uint64_t file_bytes = 0;
  uint64_t shared_bytes = 0;
  uint64_t anonymous_bytes = 0;
  uint64_t leakhunt_bytes = 0;
};

MemoryClasses ParseSmaps(std::string_view text);

}  // namespace leakhunt::watch
