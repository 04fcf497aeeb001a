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
// The same of a variable, where the object has it itself: the program may have a copy that is used instead.
uint64_t FindDynamicObject(uint64_t bias, const ElfW(Dyn) * dynamic, const char* name);

// Calls visit(context, name, address) for every function the object defines for others.
void ForEachDynamicFunction(uint64_t bias, const ElfW(Dyn) * dynamic,
                            void (*visit)(void* context, const char* name, uint64_t address), void* context);

// A pointer of the dynamic section as an address: glibc relocates these in place, musl and the vDSO do not.
inline uint64_t DynamicAddress(uint64_t bias, uint64_t pointer) { return pointer < bias ? pointer + bias : pointer; }

}  // namespace leakhunt::unwind
