// Mappings the program makes itself. libc's own (thread stacks, malloc, dlopen) do not pass here.
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/types.h>

#include "preload/hooks/hook.h"
#include "preload/hooks/mapping_calls.h"

using namespace leakhunt;

namespace {

LEAKHUNT_REAL hooks::Real<void*(void*, size_t, int, int, int, off_t)> real_mmap("mmap");
LEAKHUNT_REAL hooks::Real<int(void*, size_t)> real_munmap("munmap");
LEAKHUNT_REAL hooks::Real<void*(void*, size_t, int, int, void*)> real_mremap("mremap");

__attribute__((constructor)) void Find() { hooks::FindAll(real_mmap, real_munmap, real_mremap); }

}  // namespace

LEAKHUNT_HOOK void* mmap(void* at, size_t bytes, int protection, int flags, int fd, off_t offset) noexcept {
  return hooks::MapBy(bytes, [&] { return real_mmap.Get()(at, bytes, protection, flags, fd, offset); });
}

// off_t has 64 bits on every platform the guest knows.
LEAKHUNT_HOOK void* mmap64(void* at, size_t bytes, int protection, int flags, int fd, off_t offset) noexcept {
  return hooks::MapBy(bytes, [&] { return real_mmap.Get()(at, bytes, protection, flags, fd, offset); });
}

LEAKHUNT_HOOK int munmap(void* at, size_t bytes) noexcept {
  return hooks::UnmapBy(at, bytes, [&] { return real_munmap.Get()(at, bytes); });
}

LEAKHUNT_HOOK void* mremap(void* old, size_t old_bytes, size_t new_bytes, int flags, ...) noexcept {
  void* wanted = nullptr;
  if ((flags & MREMAP_FIXED) != 0) {
    va_list arguments;
    va_start(arguments, flags);
    wanted = va_arg(arguments, void*);
    va_end(arguments);
  }
  return hooks::RemapBy(old, old_bytes, new_bytes, flags,
                        [&] { return real_mremap.Get()(old, old_bytes, new_bytes, flags, wanted); });
}
