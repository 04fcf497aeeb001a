#include "preload/imports/import_table.h"

#include <sys/mman.h>

#include "preload/sys/syscall.h"
#include "preload/unwind/dynamic_symbol.h"
#include "preload/unwind/memory_maps.h"

namespace leakhunt::imports {
namespace {

constexpr uint64_t kPage = 4096;  // the loader protects whole pages of its own page size, 4 KiB on what we run on

}  // namespace

ImportTable::ImportTable(const unwind::LoadedObject& object) : bias_(object.bias) {
  const ElfW(Dyn)* dynamic = object.dynamic;
  for (uint32_t i = 0; i < object.header_count && object.headers != nullptr; ++i) {
    const ElfW(Phdr)& header = object.headers[i];
    if (header.p_type == PT_DYNAMIC && dynamic == nullptr) dynamic = reinterpret_cast<const ElfW(Dyn)*>(bias_ + header.p_vaddr);
    if (header.p_type == PT_GNU_RELRO) {
      protected_start_ = (bias_ + header.p_vaddr) & ~(kPage - 1);
      protected_end_ = (bias_ + header.p_vaddr + header.p_memsz) & ~(kPage - 1);
    }
  }
  if (object.headers == nullptr && dynamic != nullptr) ProtectedMapping(dynamic);
  uint64_t bytes[2] = {};
  bool with_addends = false;
  for (; dynamic != nullptr && dynamic->d_tag != DT_NULL; ++dynamic) {
    uint64_t value = dynamic->d_un.d_val;
    switch (dynamic->d_tag) {
      case DT_SYMTAB: symbols_ = reinterpret_cast<const ElfW(Sym)*>(unwind::DynamicAddress(bias_, value)); break;
      case DT_STRTAB: strings_ = reinterpret_cast<const char*>(unwind::DynamicAddress(bias_, value)); break;
      case DT_RELA: relocations_[0] = reinterpret_cast<const ElfW(Rela)*>(unwind::DynamicAddress(bias_, value)); break;
      case DT_JMPREL: relocations_[1] = reinterpret_cast<const ElfW(Rela)*>(unwind::DynamicAddress(bias_, value)); break;
      case DT_RELASZ: bytes[0] = value; break;
      case DT_PLTRELSZ: bytes[1] = value; break;
      case DT_PLTREL: with_addends = value == DT_RELA; break;
      default: break;
    }
  }
  if (symbols_ == nullptr || strings_ == nullptr) return;
  if (relocations_[0] != nullptr) counts_[0] = bytes[0] / sizeof(ElfW(Rela));
  if (relocations_[1] != nullptr && with_addends) counts_[1] = bytes[1] / sizeof(ElfW(Rela));
}

// Without program headers in the first page (optimizers of linked files move them): the dynamic section is in the
// protected part, which is a mapping of its own.
void ImportTable::ProtectedMapping(const void* inside) {
  unwind::Mapping mapping;
  if (!unwind::FindMapping(reinterpret_cast<uint64_t>(inside), &mapping) || mapping.writable) return;
  protected_start_ = mapping.start;
  protected_end_ = mapping.end;
}

bool ImportTable::IsFunctionAddress(uint32_t type, int64_t addend) {
#if defined(__x86_64__)
  return type == R_X86_64_JUMP_SLOT || type == R_X86_64_GLOB_DAT || (type == R_X86_64_64 && addend == 0);
#elif defined(__aarch64__)
  return type == R_AARCH64_JUMP_SLOT || type == R_AARCH64_GLOB_DAT || (type == R_AARCH64_ABS64 && addend == 0);
#endif
}

ImportTable::Writable::Writable(const ImportTable& table) : table_(table) {
  if (table.protected_start_ >= table.protected_end_) return;
  open_ = !sys::Failed(sys::Call(SYS_mprotect, static_cast<long>(table.protected_start_),
                                 static_cast<long>(table.protected_end_ - table.protected_start_), PROT_READ | PROT_WRITE));
}

ImportTable::Writable::~Writable() {
  if (!open_) return;
  sys::Call(SYS_mprotect, static_cast<long>(table_.protected_start_),
            static_cast<long>(table_.protected_end_ - table_.protected_start_), PROT_READ);
}

bool ImportTable::Writable::Covers(const uint64_t* slot) const {
  uint64_t address = reinterpret_cast<uint64_t>(slot);
  return open_ || address < table_.protected_start_ || address >= table_.protected_end_;
}

}  // namespace leakhunt::imports
