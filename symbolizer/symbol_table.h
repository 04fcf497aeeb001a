// The function symbols of one ELF file (.symtab and .dynsym), sorted for lookup by address: the fallback where there
// is no DWARF. Names are read at lookup, so that a hostile string table costs nothing until it is asked for.
#pragma once

#include <libelf.h>

#include <cstdint>
#include <string>
#include <vector>

namespace leakhunt::symbolizer {

class SymbolTable {
 public:
  // `elf` outlives the table. Damaged tables give fewer symbols.
  explicit SymbolTable(Elf* elf);

  // Linker name of the function that contains `address`; empty when none does. A symbol without a size reaches to the
  // next symbol of its section. Of aliases: global before weak before local, then the fewest leading underscores.
  std::string Find(uint64_t address) const;
  bool empty() const { return symbols_.empty(); }

 private:
  struct Symbol {
    uint64_t start;
    uint64_t end;
    uint64_t reach;    // largest `end` of this and all before it
    uint32_t name;     // offset in string section `strings`
    uint32_t strings;  // section index
    uint8_t rank;      // lower is better among symbols of one address
  };

  void Read(Elf_Scn* section);
  void Close(const std::vector<std::pair<uint64_t, uint64_t>>& sections);
  const char* Name(const Symbol& symbol) const;
  bool Better(const Symbol& left, const Symbol& right) const;

  Elf* elf_;
  std::vector<Symbol> symbols_;
};

}  // namespace leakhunt::symbolizer
