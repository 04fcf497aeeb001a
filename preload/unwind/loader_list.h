// The loader's own list of objects (r_debug, as debuggers read it), without its functions: those may be somebody else's.
#pragma once

#include <link.h>

#include <cstdint>

namespace leakhunt::unwind {

struct MainProgram {
  uint64_t start = ~uint64_t{0}, end = 0, bias = 0;
  const ElfW(Dyn) * dynamic = nullptr;
};
MainProgram FindMainProgram();

// The first of the list, which is in load order and begins with the main program; null where there is none. Another thread
// may be changing the list: for the start of the process, or where a name is not found otherwise.
const link_map* FirstListed(const MainProgram& main);

}  // namespace leakhunt::unwind
