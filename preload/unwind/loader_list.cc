#include "preload/unwind/loader_list.h"

#include <sys/auxv.h>

namespace leakhunt::unwind {

MainProgram FindMainProgram() {
  MainProgram main;
  const auto* headers = reinterpret_cast<const ElfW(Phdr)*>(getauxval(AT_PHDR));
  uint64_t count = getauxval(AT_PHNUM);
  for (uint64_t i = 0; headers != nullptr && i < count; ++i) {
    if (headers[i].p_type == PT_PHDR) main.bias = reinterpret_cast<uint64_t>(headers) - headers[i].p_vaddr;
  }
  for (uint64_t i = 0; headers != nullptr && i < count; ++i) {
    uint64_t start = main.bias + headers[i].p_vaddr, end = start + headers[i].p_memsz;
    if (headers[i].p_type == PT_DYNAMIC) main.dynamic = reinterpret_cast<const ElfW(Dyn)*>(start);
    if (headers[i].p_type != PT_LOAD) continue;
    if (start < main.start) main.start = start;
    if (end > main.end) main.end = end;
  }
  return main;
}

// DT_DEBUG: SVR4's r_debug.
const link_map* FirstListed(const MainProgram& main) {
  for (const ElfW(Dyn)* entry = main.dynamic; entry != nullptr && entry->d_tag != DT_NULL; ++entry) {
    if (entry->d_tag != DT_DEBUG) continue;
    const auto* debug = reinterpret_cast<const r_debug*>(entry->d_un.d_ptr);
    return debug == nullptr ? nullptr : debug->r_map;
  }
  return nullptr;
}

}  // namespace leakhunt::unwind
