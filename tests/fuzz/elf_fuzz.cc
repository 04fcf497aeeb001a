// ELF files with any content: nothing may crash, hang or grow without bound. Seeds: tests/data/fuzz/elf.
#include <cstddef>
#include <cstdint>

#include "tests/fuzz/elf_target.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  leakhunt::symbolizer::SymbolizeBytes(data, size);
  return 0;
}
