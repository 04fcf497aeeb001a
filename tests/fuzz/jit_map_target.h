// What the fuzzer of perf maps and the replay of its corpus run: any text as a JIT compiler's /tmp/perf-PID.map.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <string>

#include "collector/base/unique_fd.h"
#include "symbolizer/jit_map.h"

namespace leakhunt::symbolizer {

// Adds the text, and its second half once more, and looks addresses up. Returns how many had a name.
inline size_t ReadJitMap(const uint8_t* data, size_t size) {
  UniqueFd file(memfd_create("map", MFD_CLOEXEC));
  if (!file.Valid() || write(file.Get(), data, size) != static_cast<ssize_t>(size)) return 0;
  const std::string path = "/proc/self/fd/" + std::to_string(file.Get());
  JitMap map;
  if (!map.Add(path)) return 0;
  lseek(file.Get(), static_cast<off_t>(size / 2), SEEK_SET);
  (void)static_cast<bool>(map.Add(path));
  size_t named = 0;
  for (uint64_t address : {uint64_t{0}, uint64_t{0x1000}, uint64_t{0x1010}, uint64_t{0x7f0000001234}, UINT64_MAX, UINT64_MAX / 2}) {
    named += !map.Find(address).empty();
  }
  return named;
}

}  // namespace leakhunt::symbolizer
