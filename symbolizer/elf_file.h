// One ELF file on disk, opened for reading: its build-id, its links to debug files, where its code lies.
//
// Host process, one thread. The file is hostile: every size goes through libelf's bounds, only regular files are
// opened, and a defect is an Error. Nothing here reads DWARF (unit_index.h) or symbols (symbol_table.h).
#pragma once

#include <libelf.h>

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "collector/base/result.h"
#include "collector/base/unique_fd.h"

namespace leakhunt::symbolizer {

struct DebugLink {
  std::string name;  // a file name without directory; empty = none
  uint32_t crc = 0;  // CRC-32 of the whole file
};

class ElfFile {
 public:
  // Fails with the path and the reason for anything but a readable ELF file of a known class.
  static Result<std::unique_ptr<ElfFile>> Open(const std::string& path);
  ~ElfFile();
  ElfFile(const ElfFile&) = delete;
  ElfFile& operator=(const ElfFile&) = delete;

  Elf* elf() const { return elf_; }
  const std::string& path() const { return path_; }
  const std::string& build_id() const { return build_id_; }  // lower-case hex; empty = none

  bool HasSection(const char* name) const;
  // .debug_info with content, also the compressed old form (.zdebug_info).
  bool HasDebugInfo() const { return HasSection(".debug_info") || HasSection(".zdebug_info"); }
  bool HasSymtab() const { return HasSection(".symtab"); }

  DebugLink GnuDebugLink() const;

  // True when `address` lies in an executable segment, or when the file has no segments to say so.
  bool IsCode(uint64_t address) const;

 private:
  ElfFile(std::string path, UniqueFd fd, Elf* elf);

  std::string path_;
  UniqueFd fd_;
  Elf* elf_;
  std::string build_id_;
  std::vector<std::pair<uint64_t, uint64_t>> code_;  // [start, end) of executable segments
};

// "" for none; bytes as lower-case hex.
std::string ToHex(const void* bytes, size_t size);

}  // namespace leakhunt::symbolizer
