// One compilation unit of DWARF, decoded once for many lookups: its line table and its tree of functions and inlined
// calls, both as sorted vectors. Names are read only for what is asked.
//
// Host process, one thread. libdw bounds the reading; this bounds depth, number of entries and ranges (hostile files).
#pragma once

#include <elfutils/libdw.h>

#include <cstdint>
#include <string>
#include <vector>

#include "symbolizer/address_map.h"
#include "symbolizer/elf_file.h"
#include "symbolizer/symbolizer.h"

namespace leakhunt::symbolizer {

// How well a unit knows the physical function at an address.
enum class FunctionKnown {
  kNo,         // at most its line
  kShortName,  // without namespace and class: a symbol table may say more
  kFullName,
};

class UnitIndex {
 public:
  // `unit` is the unit's DIE; of split DWARF the skeleton, and `tree` the DIE in the .dwo (else the same).
  // `elf` says what is code: ranges of functions the linker discarded start elsewhere.
  UnitIndex(Dwarf_Die unit, Dwarf_Die tree, const ElfFile& elf);

  // Appends the frames at `address`, innermost first; with kNo at most one, without a function.
  FunctionKnown Find(uint64_t address, std::vector<SourceFrame>* frames);

 private:
  struct Line {
    uint64_t address;
    const char* file;  // owned by the Dwarf
    int32_t line;
    uint16_t column;
    bool end;  // first byte after a sequence
  };
  struct Scope {
    Dwarf_Die die;
    int32_t parent;  // index of the enclosing scope; -1: a physical function
    bool inlined;
  };
  struct Visit;

  void ReadLines(const ElfFile& elf);
  void ReadScopes(const ElfFile& elf);
  int32_t AddScope(Dwarf_Die* die, const Visit& visit, const ElfFile& elf);
  const Line* FindLine(uint64_t address) const;
  std::string FileName(const char* name) const;
  SourceFrame CallSite(Dwarf_Die* inlined);

  Dwarf_Die unit_, tree_;
  std::string directory_;
  std::vector<Line> lines_;
  std::vector<Scope> scopes_;
  std::vector<AddressRange> ranges_;  // only while reading
  AddressMap map_;
};

}  // namespace leakhunt::symbolizer
