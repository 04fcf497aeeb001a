// Looks a name up in the dynamic symbols of an object that is already loaded, without dlsym.
//
// For functions that only some libcs have: a weak reference would tie the library to the libc version (and to the
// loader as a NEEDED object) on the machine it was built on.
#pragma once

#include <link.h>

#include <cstdint>

namespace leakhunt::unwind {

// Address of the defined function `name`, 0 when the object has none. `dynamic` is its mapped PT_DYNAMIC.
uint64_t FindDynamicFunction(uint64_t bias, const ElfW(Dyn) * dynamic, const char* name);

}  // namespace leakhunt::unwind
