// A copy of an ELF file that keeps what symbolizing needs and leaves out the code and data.
#pragma once

#include <string>

#include "collector/base/result.h"
#include "symbolizer/elf_file.h"

namespace leakhunt::symbolizer {

// Writes `file` to `path` (created 0600, must not exist): debug sections, symbol tables and notes with their content,
// other loaded sections as empty ones with their addresses. When libelf cannot do that, the whole file.
Status WriteDebugOnly(const ElfFile& file, const std::string& path);

}  // namespace leakhunt::symbolizer
