// Perf maps of any content. Seeds: tests/data/fuzz/perf_map.
#include <cstddef>
#include <cstdint>

#include "tests/fuzz/jit_map_target.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  leakhunt::symbolizer::ReadJitMap(data, size);
  return 0;
}
