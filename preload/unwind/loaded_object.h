// Which loaded object covers a pc: asked of the loader, without its lock.
//
// With glibc 2.35 and later `_dl_find_object` answers (lock-free). Elsewhere (musl, older glibc) the objects that were
// there at Initialize are known from dl_iterate_phdr, and later ones are found in /proc/thread-self/maps: slow, but neither
// the loader's lock nor the heap is touched, so it may happen in handlers and forked children.
#pragma once

#include <link.h>

#include <cstdint>

namespace leakhunt::unwind {

struct LoadedObject {
  uint64_t start = 0, end = 0, bias = 0;
  const ElfW(Phdr) * headers = nullptr;  // null = not found in memory; `eh_frame_header` may still be known
  uint32_t header_count = 0;
  const ElfW(Dyn) * dynamic = nullptr;   // as the loader knows it; null = look in `headers`
  const link_map* map = nullptr;         // the loader's own record; null = not known
  uint64_t eh_frame_header = 0;          // hint; 0 = look in `headers`
  uint64_t probe = 0;                    // an address inside that the loader knows
  uint64_t entry = 0;                    // address the program starts at; 0 = not known
  uint64_t identity = 0;                 // differs between two objects that follow each other at one address
  const char* path = nullptr;            // valid until unloaded; never null when found
};

// Finds the loader's interfaces and remembers the objects loaded now. Takes the loader's lock (dl_iterate_phdr).
void InitializeLoadedObjects();

// False: `pc` is in no object (code of a JIT, for one). Reads the object's headers: `pc` must be of a frame of the calling
// thread, which keeps the object from being unmapped meanwhile.
[[nodiscard]] bool FindLoadedObject(uint64_t pc, LoadedObject* object);

// Is the object that once held `probe` and had this identity still there? May be asked while another thread unloads it.
[[nodiscard]] bool StillLoaded(uint64_t probe, uint64_t identity);

// True when this libc answers without a lock and always up to date.
bool LoaderAnswersLockFree();

}  // namespace leakhunt::unwind
