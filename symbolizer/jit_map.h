// Names of code that has no module: what a JIT compiler wrote to /tmp/perf-PID.map, kept beside the snapshot because
// the process will be gone.
//
// Host process, one thread. Text, a line each: "START SIZE name", hex without 0x. The compiler reuses addresses, so
// where lines overlap, the later one holds. The file is hostile: bounded in size, bad lines are skipped and counted.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "collector/base/result.h"
#include "symbolizer/address_map.h"

namespace leakhunt::symbolizer {

class JitMap {
 public:
  // Adds a file; its lines are later than all before. Error: it cannot be read.
  Status Add(const std::string& path);
  // Name of the code at `address`; empty when unknown.
  const std::string& Find(uint64_t address);
  size_t bad_lines() const { return bad_lines_; }

 private:
  void AddLine(const char* text, const char* end);

  std::vector<AddressRange> ranges_;  // depth = order of appearance
  std::vector<std::string> names_;
  AddressMap map_;
  bool stale_ = false;
  size_t bad_lines_ = 0;
};

}  // namespace leakhunt::symbolizer
