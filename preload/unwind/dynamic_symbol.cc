// Search by DT_GNU_HASH behind dynamic_symbol.h; objects with only the old DT_HASH have none of the names sought.
#include "preload/unwind/dynamic_symbol.h"

#include "preload/sys/text.h"

namespace leakhunt::unwind {
namespace {

struct DynamicTables {
  const ElfW(Sym) * symbols = nullptr;
  const char* strings = nullptr;
  const uint32_t* gnu_hash = nullptr;
};

template <typename T>
const T* Relocated(uint64_t bias, uint64_t pointer) {
  return reinterpret_cast<const T*>(DynamicAddress(bias, pointer));
}

DynamicTables Tables(uint64_t bias, const ElfW(Dyn) * dynamic) {
  DynamicTables tables;
  for (; dynamic->d_tag != DT_NULL; ++dynamic) {
    if (dynamic->d_tag == DT_SYMTAB) tables.symbols = Relocated<ElfW(Sym)>(bias, dynamic->d_un.d_ptr);
    if (dynamic->d_tag == DT_STRTAB) tables.strings = Relocated<char>(bias, dynamic->d_un.d_ptr);
    if (dynamic->d_tag == DT_GNU_HASH) tables.gnu_hash = Relocated<uint32_t>(bias, dynamic->d_un.d_ptr);
  }
  return tables;
}

bool IsDefined(const ElfW(Sym) & symbol, uint32_t type) {
  return symbol.st_shndx != SHN_UNDEF && (symbol.st_info & 15u) == type;
}

uint32_t GnuHash(const char* name) {
  uint32_t hash = 5381;
  for (; *name != 0; ++name) hash = hash * 33 + static_cast<unsigned char>(*name);
  return hash;
}

uint64_t FindDynamic(uint64_t bias, const ElfW(Dyn) * dynamic, const char* name, uint32_t type) {
  DynamicTables tables = Tables(bias, dynamic);
  if (tables.symbols == nullptr || tables.strings == nullptr || tables.gnu_hash == nullptr) return 0;
  uint32_t bucket_count = tables.gnu_hash[0], first = tables.gnu_hash[1], bloom_words = tables.gnu_hash[2];
  if (bucket_count == 0) return 0;
  const uint32_t* buckets = tables.gnu_hash + 4 + bloom_words * (sizeof(ElfW(Addr)) / 4);
  const uint32_t* chains = buckets + bucket_count;
  uint32_t hash = GnuHash(name);
  uint32_t index = buckets[hash % bucket_count];
  if (index < first) return 0;
  for (;; ++index) {
    uint32_t seen = chains[index - first];
    const ElfW(Sym) & symbol = tables.symbols[index];
    if ((seen | 1) == (hash | 1) && IsDefined(symbol, type) && sys::Equal(tables.strings + symbol.st_name, name)) {
      return bias + symbol.st_value;
    }
    if (seen & 1) return 0;
  }
}

}  // namespace

uint64_t FindDynamicFunction(uint64_t bias, const ElfW(Dyn) * dynamic, const char* name) {
  return FindDynamic(bias, dynamic, name, STT_FUNC);
}
uint64_t FindDynamicObject(uint64_t bias, const ElfW(Dyn) * dynamic, const char* name) {
  return FindDynamic(bias, dynamic, name, STT_OBJECT);
}

void ForEachDynamicFunction(uint64_t bias, const ElfW(Dyn) * dynamic,
                            void (*visit)(void* context, const char* name, uint64_t address), void* context) {
  DynamicTables tables = Tables(bias, dynamic);
  if (tables.symbols == nullptr || tables.strings == nullptr || tables.gnu_hash == nullptr) return;
  uint32_t bucket_count = tables.gnu_hash[0], first = tables.gnu_hash[1], bloom_words = tables.gnu_hash[2];
  const uint32_t* buckets = tables.gnu_hash + 4 + bloom_words * (sizeof(ElfW(Addr)) / 4);
  const uint32_t* chains = buckets + bucket_count;
  for (uint32_t bucket = 0; bucket < bucket_count; ++bucket) {
    uint32_t index = buckets[bucket];
    if (index < first) continue;
    do {
      const ElfW(Sym) & symbol = tables.symbols[index];
      if (IsDefined(symbol, STT_FUNC)) visit(context, tables.strings + symbol.st_name, bias + symbol.st_value);
    } while ((chains[index++ - first] & 1) == 0);
  }
}

}  // namespace leakhunt::unwind
