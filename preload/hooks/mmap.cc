// Mappings the program makes itself. libc's own (thread stacks, malloc, dlopen) do not pass here.
#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/types.h>

#include "preload/core/mappings.h"
#include "preload/hooks/hook.h"

using namespace leakhunt;

namespace {

constinit hooks::Real<void*(void*, size_t, int, int, int, off_t)> real_mmap("mmap");
constinit hooks::Real<int(void*, size_t)> real_munmap("munmap");
constinit hooks::Real<void*(void*, size_t, int, int, void*)> real_mremap("mremap");

uint64_t Address(const void* at) { return reinterpret_cast<uint64_t>(at); }

void* Map(void* at, size_t bytes, int protection, int flags, int fd, off_t offset) {
  void* mapped = real_mmap.Get()(at, bytes, protection, flags, fd, offset);
  if (mapped != MAP_FAILED) core::MappingBorn(Address(mapped), bytes);
  return mapped;
}

}  // namespace

LEAKHUNT_HOOK void* mmap(void* at, size_t bytes, int protection, int flags, int fd, off_t offset) noexcept {
  return Map(at, bytes, protection, flags, fd, offset);
}

LEAKHUNT_HOOK void* mmap64(void* at, size_t bytes, int protection, int flags, int fd, off_t offset) noexcept {
  return Map(at, bytes, protection, flags, fd, offset);  // off_t has 64 bits on every platform the guest knows
}

LEAKHUNT_HOOK int munmap(void* at, size_t bytes) noexcept {
  // Ranges the kernel refuses at once stay as they are.
  if (bytes == 0 || (Address(at) & 4095) != 0) return real_munmap.Get()(at, bytes);
  core::MappingOrigin origin = core::MappingTaken(Address(at), bytes);
  int result = real_munmap.Get()(at, bytes);
  if (result != 0) core::MappingPut(Address(at), bytes, origin);
  return result;
}

LEAKHUNT_HOOK void* mremap(void* old, size_t old_bytes, size_t new_bytes, int flags, ...) noexcept {
  void* wanted = nullptr;
  if ((flags & MREMAP_FIXED) != 0) {
    va_list arguments;
    va_start(arguments, flags);
    wanted = va_arg(arguments, void*);
    va_end(arguments);
  }
  constexpr int kDontUnmap = 4;  // MREMAP_DONTUNMAP: the old range stays mapped
  bool stays = old_bytes == 0 || (flags & kDontUnmap) != 0;
  core::MappingOrigin origin;
  if (!stays) origin = core::MappingTaken(Address(old), old_bytes);
  void* mapped = real_mremap.Get()(old, old_bytes, new_bytes, flags, wanted);
  if (mapped == MAP_FAILED) {
    if (!stays) core::MappingPut(Address(old), old_bytes, origin);
  } else if (origin.known) {
    core::MappingPut(Address(mapped), new_bytes, origin);
  } else {
    core::MappingBorn(Address(mapped), new_bytes);
  }
  return mapped;
}
