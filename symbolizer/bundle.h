// Symbols beside a recording: what another machine needs to name the recorded addresses, stored by build-id.
//
// Host process, one thread. The layout is the one debuggers know, so that they can use it too:
//
//   symbols/.build-id/ab/cdef0123456789.debug    the module's debug information and symbols, its code left out
//
// Files are 0600 in directories 0700, written under a temporary name and renamed. What is already there is kept.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "collector/base/result.h"
#include "symbolizer/symbolizer.h"

namespace leakhunt::symbolizer {

struct StoredSymbols {
  size_t modules = 0;          // with symbols in the directory now
  size_t written = 0;          // files this call wrote
  uint64_t written_bytes = 0;  // their size
  std::vector<std::string> warnings;  // modules without symbols, rebuilt files; a line each
};

// Finds debug files as a Symbolizer with `options` would and stores them under `directory` (created if needed), which
// is then usable as Options::bundle_dir. Modules without a build-id are left out with a warning.
Result<StoredSymbols> StoreSymbols(std::span<const ModuleId> modules, const Options& options,
                                   const std::string& directory);

}  // namespace leakhunt::symbolizer
