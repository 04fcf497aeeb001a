// Section headers from the file, behind frame_section.h. Runs at the first walk into such an object.
#include "preload/unwind/frame_section.h"

#include <elf.h>
#include <fcntl.h>
#include <link.h>

#include "preload/sys/syscall.h"
#include "preload/sys/text.h"

namespace leakhunt::unwind {
namespace {

class ObjectFile {
 public:
  explicit ObjectFile(const char* path) : fd_(sys::Open(path, O_RDONLY | O_CLOEXEC)) {}
  ~ObjectFile() {
    if (fd_ >= 0) sys::Close(static_cast<int>(fd_));
  }
  ObjectFile(const ObjectFile&) = delete;
  ObjectFile& operator=(const ObjectFile&) = delete;

  template <typename T>
  bool ReadAt(uint64_t offset, T* value) const {
    return fd_ >= 0 && sys::Call(SYS_pread64, fd_, sys::Word(value), sizeof(T), static_cast<long>(offset)) == sizeof(T);
  }

 private:
  long fd_;
};

}  // namespace

Extent FindFrameSection(const char* path, uint64_t bias) {
  ObjectFile file(path);
  ElfW(Ehdr) elf;
  ElfW(Shdr) names, section;
  if (!file.ReadAt(0, &elf) || __builtin_memcmp(elf.e_ident, ELFMAG, SELFMAG) != 0) return {};
  if (elf.e_shentsize != sizeof(section) || elf.e_shstrndx >= elf.e_shnum) return {};
  if (!file.ReadAt(elf.e_shoff + elf.e_shstrndx * sizeof(section), &names)) return {};
  for (uint32_t i = 1; i < elf.e_shnum; ++i) {
    char name[10];
    if (!file.ReadAt(elf.e_shoff + i * sizeof(section), &section)) return {};
    if (!(section.sh_flags & SHF_ALLOC) || section.sh_type == SHT_NOBITS) continue;
    if (!file.ReadAt(names.sh_offset + section.sh_name, &name) || !sys::StartsWith(name, ".eh_frame")) continue;
    if (name[9] == 0) return {bias + section.sh_addr, bias + section.sh_addr + section.sh_size};
  }
  return {};
}

}  // namespace leakhunt::unwind
