// All DWARF of one ELF file: which compilation unit covers an address, and that unit's index, made on its first use.
//
// Host process, one thread. Units are found by iterating them, not by .debug_aranges, which clang and link-time
// optimization leave out.
#pragma once

#include <elfutils/libdw.h>

#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "symbolizer/elf_file.h"
#include "symbolizer/unit_index.h"

namespace leakhunt::symbolizer {

class DwarfIndex {
 public:
  // `elf` has debug info and outlives the index. `alternate` (may be null) is the file of its .gnu_debugaltlink, kept.
  // Null with a reason in `error` when the DWARF cannot be read at all.
  static std::unique_ptr<DwarfIndex> Open(const ElfFile& elf, std::unique_ptr<ElfFile> alternate, std::string* error);
  ~DwarfIndex();
  DwarfIndex(const DwarfIndex&) = delete;
  DwarfIndex& operator=(const DwarfIndex&) = delete;

  // As UnitIndex::Find, over the units that cover `address`.
  FunctionKnown Find(uint64_t address, std::vector<SourceFrame>* frames);

 private:
  struct Unit {
    Dwarf_Die die, tree;
    std::unique_ptr<UnitIndex> index;
    bool has_ranges;
  };

  DwarfIndex(const ElfFile& elf, Dwarf* dwarf) : elf_(elf), dwarf_(dwarf) {}
  void ReadUnits();
  std::vector<size_t> Covering(uint64_t address) const;
  UnitIndex& Index(size_t unit);

  const ElfFile& elf_;
  Dwarf* dwarf_;
  std::unique_ptr<ElfFile> alternate_elf_;
  Dwarf* alternate_ = nullptr;
  std::vector<Unit> units_;
  struct Range {
    uint64_t start, end, reach;  // reach: largest end of this and all before it
    size_t unit;
  };
  std::vector<Range> ranges_;           // sorted by start
  std::vector<size_t> without_ranges_;  // units that do not say what they cover
};

// The file a .gnu_debugaltlink names: path as written (maybe relative to the file), build-id in lower-case hex.
struct AlternateLink {
  std::string path;  // empty = no such link
  std::string build_id;
};
AlternateLink FindAlternateLink(const ElfFile& elf);

}  // namespace leakhunt::symbolizer
