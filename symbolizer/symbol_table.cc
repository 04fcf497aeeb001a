// Reading and searching ELF symbols; see symbol_table.h.
#include "symbolizer/symbol_table.h"

#include <gelf.h>

#include <algorithm>
#include <cstring>

namespace leakhunt::symbolizer {
namespace {

uint8_t Rank(const GElf_Sym& symbol) {
  const int binding = GELF_ST_BIND(symbol.st_info);
  uint8_t rank = binding == STB_GLOBAL || binding == STB_GNU_UNIQUE ? 0 : binding == STB_WEAK ? 1 : 2;
  if (GELF_ST_TYPE(symbol.st_info) == STT_NOTYPE) rank += 4;  // assembler labels
  return rank;
}

bool IsFunction(const GElf_Sym& symbol) {
  if (symbol.st_shndx == SHN_UNDEF || symbol.st_shndx == SHN_ABS || symbol.st_name == 0) return false;
  const int type = GELF_ST_TYPE(symbol.st_info);
  return type == STT_FUNC || type == STT_GNU_IFUNC || type == STT_NOTYPE;
}

std::vector<std::pair<uint64_t, uint64_t>> CodeSections(Elf* elf) {
  std::vector<std::pair<uint64_t, uint64_t>> code;
  Elf_Scn* section = nullptr;
  while ((section = elf_nextscn(elf, section)) != nullptr) {
    GElf_Shdr header;
    if (gelf_getshdr(section, &header) == nullptr || (header.sh_flags & SHF_EXECINSTR) == 0) continue;
    if (header.sh_addr + header.sh_size <= header.sh_addr) continue;
    code.emplace_back(header.sh_addr, header.sh_addr + header.sh_size);
  }
  std::sort(code.begin(), code.end());
  return code;
}

// End of the code section that holds `address`; 0 when it is not code.
uint64_t SectionEnd(const std::vector<std::pair<uint64_t, uint64_t>>& code, uint64_t address) {
  auto after = std::upper_bound(code.begin(), code.end(), std::make_pair(address, UINT64_MAX));
  if (after == code.begin()) return 0;
  --after;
  return address < after->second ? after->second : 0;
}

}  // namespace

SymbolTable::SymbolTable(Elf* elf) : elf_(elf) {
  Elf_Scn* section = nullptr;
  while ((section = elf_nextscn(elf, section)) != nullptr) {
    GElf_Shdr header;
    if (gelf_getshdr(section, &header) == nullptr) continue;
    if (header.sh_type == SHT_SYMTAB || header.sh_type == SHT_DYNSYM) Read(section);
  }
  std::stable_sort(symbols_.begin(), symbols_.end(),
                   [](const Symbol& left, const Symbol& right) { return left.start < right.start; });
  Close(CodeSections(elf));
}

void SymbolTable::Read(Elf_Scn* section) {
  GElf_Shdr header;
  gelf_getshdr(section, &header);
  Elf_Data* data = elf_getdata(section, nullptr);
  if (data == nullptr || data->d_buf == nullptr || header.sh_entsize == 0) return;
  const size_t count = data->d_size / header.sh_entsize;
  for (size_t i = 0; i < count; ++i) {
    GElf_Sym symbol;
    if (gelf_getsym(data, static_cast<int>(i), &symbol) == nullptr) break;
    if (!IsFunction(symbol) || symbol.st_value + symbol.st_size < symbol.st_value) continue;
    symbols_.push_back(Symbol{symbol.st_value, symbol.st_value + symbol.st_size, 0, symbol.st_name, header.sh_link,
                              Rank(symbol)});
  }
}

// Drops what is not code, gives sizeless symbols their end, and computes `reach`.
void SymbolTable::Close(const std::vector<std::pair<uint64_t, uint64_t>>& sections) {
  std::erase_if(symbols_, [&](const Symbol& symbol) { return SectionEnd(sections, symbol.start) == 0; });
  uint64_t next = UINT64_MAX;
  for (size_t i = symbols_.size(); i-- > 0;) {
    Symbol& symbol = symbols_[i];
    if (i + 1 < symbols_.size() && symbols_[i + 1].start > symbol.start) next = symbols_[i + 1].start;
    if (symbol.end == symbol.start) symbol.end = std::min(next, SectionEnd(sections, symbol.start));
  }
  uint64_t reach = 0;
  for (Symbol& symbol : symbols_) symbol.reach = reach = std::max(reach, symbol.end);
}

const char* SymbolTable::Name(const Symbol& symbol) const { return elf_strptr(elf_, symbol.strings, symbol.name); }

bool SymbolTable::Better(const Symbol& left, const Symbol& right) const {
  if (left.start != right.start) return left.start > right.start;
  if (left.rank != right.rank) return left.rank < right.rank;
  const char* left_name = Name(left);
  const char* right_name = Name(right);
  if (left_name == nullptr || right_name == nullptr) return left_name != nullptr;
  return std::strspn(left_name, "_") < std::strspn(right_name, "_");
}

std::string SymbolTable::Find(uint64_t address) const {
  auto after = std::upper_bound(symbols_.begin(), symbols_.end(), address,
                                [](uint64_t value, const Symbol& symbol) { return value < symbol.start; });
  const Symbol* best = nullptr;
  // Labels inside a function come before it on the way back; `reach` says when nothing earlier can contain the address.
  for (int steps = 0; after != symbols_.begin() && steps < 4096; ++steps) {
    const Symbol& symbol = *--after;
    if (symbol.reach <= address) break;
    if (best != nullptr && best->start != symbol.start && best->rank < 4) break;
    if (address >= symbol.end) continue;
    const bool label_inside = best != nullptr && best->rank >= 4 && symbol.rank < 4;
    if (best == nullptr || label_inside || Better(symbol, *best)) best = &symbol;
  }
  const char* name = best == nullptr ? nullptr : Name(*best);
  return name == nullptr ? std::string() : std::string(name);
}

}  // namespace leakhunt::symbolizer
