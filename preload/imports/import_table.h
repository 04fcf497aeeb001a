// The slots through which an object's code reaches functions of other objects.
//
// ELF gABI, "Relocation" and "Dynamic Section"; System V psABI, relocation types of function addresses: JUMP_SLOT of
// the procedure linkage table, GLOB_DAT of the global offset table, and whole addresses in data (tables of functions).
// Only for objects that the loader has finished with: their tables are trusted.
#pragma once

#include <link.h>

#include <cstdint>

#include "preload/unwind/loaded_object.h"

namespace leakhunt::imports {

struct Import {
  const char* name;
  uint64_t* slot;
  uint64_t own;  // address of the object's own definition; 0: it has none
};

class ImportTable {
 public:
  // Empty for an object without a dynamic section.
  explicit ImportTable(const unwind::LoadedObject& object);

  // Calls visit(Import) for every slot that refers to a symbol by name. Slots may be read-only (see Writable).
  template <typename Visit>
  void ForEach(Visit visit) const;

  // Makes the part that the loader protected after relocation writable, and read-only again at the end of its life.
  // While one is alive, another thread's write to those pages would succeed; they hold relocated constants only.
  class Writable {
   public:
    explicit Writable(const ImportTable& table);
    ~Writable();
    Writable(const Writable&) = delete;
    Writable& operator=(const Writable&) = delete;
    // True when `slot` may be written now.
    bool Covers(const uint64_t* slot) const;

   private:
    const ImportTable& table_;
    bool open_ = false;
  };

 private:
  void ProtectedMapping(const void* inside);
  static bool IsFunctionAddress(uint32_t type, int64_t addend);

  uint64_t bias_ = 0;
  const ElfW(Sym) * symbols_ = nullptr;
  const char* strings_ = nullptr;
  const ElfW(Rela) * relocations_[2] = {};
  uint64_t counts_[2] = {};
  uint64_t protected_start_ = 0, protected_end_ = 0;  // whole pages
};

template <typename Visit>
void ImportTable::ForEach(Visit visit) const {
  for (int table = 0; table < 2; ++table) {
    for (uint64_t i = 0; i < counts_[table]; ++i) {
      const ElfW(Rela) & relocation = relocations_[table][i];
      const ElfW(Sym) & symbol = symbols_[ELF64_R_SYM(relocation.r_info)];
      if (symbol.st_name == 0 || !IsFunctionAddress(ELF64_R_TYPE(relocation.r_info), relocation.r_addend)) continue;
      visit(Import{strings_ + symbol.st_name, reinterpret_cast<uint64_t*>(bias_ + relocation.r_offset),
                   symbol.st_shndx == SHN_UNDEF ? 0 : bias_ + symbol.st_value});
    }
  }
}

}  // namespace leakhunt::imports
