// How the library came into the program, which decides where the functions behind the hooks are.
#pragma once

#include <cstdint>

namespace leakhunt::hooks {

enum class Standing : uint8_t {
  kPreloaded,  // in the global scope, before the C library: the loader leads calls here
  kInjected,   // loaded later: calls come here when imports are redirected (preload/imports)
};

// Found by asking the loader at the first call; later calls only read. Keeps errno, marks the thread busy.
Standing FindStanding();

// True when the program calls a malloc that stands before ours: its executable defines one. Asks the loader.
bool ExecutableDefinesMalloc();

// The function behind the hook of an allocator function: FindNext, or what the executable defines before us. Null when
// there is none. The caller is busy.
void* FindAllocatorFunction(const char* name);

}  // namespace leakhunt::hooks
