// What an executable file says of how it will be started.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "collector/base/result.h"

namespace leakhunt::viewer {

struct ElfFacts {
  uint16_t machine = 0;             // e_machine
  bool is_64_bit = false;
  bool dynamic = false;             // has a PT_DYNAMIC segment
  std::string interpreter;          // PT_INTERP; empty = no loader: LD_PRELOAD has no effect
  std::vector<std::string> needed;  // DT_NEEDED
  bool defines_malloc = false;      // its own malloc is found before any preloaded one
  bool exports_malloc = false;      // … and it is in the dynamic symbol table
  bool is_loader = false;           // glibc's loader, which a program may be started by
  bool is_go = false;               // built by the Go toolchain
};

// Reads an ELF file; any defect is an error, never a crash. A file that is not ELF: error "… is not an ELF file".
Result<ElfFacts> ReadElfFacts(const std::filesystem::path& file);

// The interpreter of a "#!" script, empty when it is none. One line is read.
std::string ScriptInterpreter(const std::filesystem::path& file);

const char* MachineName(uint16_t machine);

}  // namespace leakhunt::viewer
