// Leading the imports of loaded objects to the hooks and back, where the loader did not do it: in a program that was
// not started with the library, and in one that defines malloc itself.
//
// What closes and frees is led to the hooks before what opens and allocates, in all objects, and the other way round on
// the way back: a block that was seen born is seen dying. No lock of the loader is taken: objects are found in
// /proc/thread-self/maps and asked of unwind/loaded_object.h. Any thread; one at a time (a second one is turned away).
#pragma once

#include <cstdint>

namespace leakhunt::imports {

enum class Extent : uint8_t {
  kAll,       // every function the library hooks
  kDeepBound, // the same, but for calls that an object makes of its own definition: where the loader binds to the hooks, too
  kHeapOnly   // malloc's family and operator new
};

// Notes which hook stands for which function: those this library exports, and `dlopen_hook` for dlopen. `find_real`
// gives the function behind a hook, 0 for none. Once; asks the loader, so not in handlers and forked children.
void InitializeRedirection(Extent extent, uint64_t (*find_real)(const char* name), uint64_t dlopen_hook);

bool IsInitialized();  // acquire; partner: InitializeRedirection

struct Redirection {
  bool done = false;     // false: an object is being unloaded, or another thread is at it; nothing was changed
  uint32_t changed = 0;  // slots
};

// Repeating it finds objects loaded since, and slots that a lazy binding overwrote. Neither waits.
Redirection RedirectToHooks();
Redirection RedirectBack();

// Around dlclose: no table is touched while its object may be going away. Waits microseconds for a redirection that is
// going on in this process.
void UnloadBegins();
void UnloadEnds();

// True for addresses of this library's own code and data.
bool InOwnImage(uint64_t address);

}  // namespace leakhunt::imports
