// Writing the debug part of an ELF file; see elf_strip.h.
#include "symbolizer/elf_strip.h"

#include <fcntl.h>
#include <gelf.h>
#include <unistd.h>

#include <cerrno>
#include <vector>

namespace leakhunt::symbolizer {
namespace {

// Loaded sections that symbolizing reads: the build-id note and the dynamic symbols with their names.
bool IsNeeded(const GElf_Shdr& header) {
  return (header.sh_flags & SHF_ALLOC) == 0 || header.sh_type == SHT_NOTE || header.sh_type == SHT_DYNSYM ||
         header.sh_type == SHT_STRTAB;
}

// libelf writes the gap before an aligned section: a hostile alignment would fill the disk.
constexpr uint64_t kLargestAlignment = 4096;

bool CopySection(Elf_Scn* from, Elf* to) {
  GElf_Shdr header;
  Elf_Scn* copy = elf_newscn(to);
  if (copy == nullptr || gelf_getshdr(from, &header) == nullptr) return false;
  const bool needed = IsNeeded(header);
  if (!needed) header.sh_type = SHT_NOBITS;
  if (header.sh_type == SHT_NOBITS) header.sh_addralign = 1;
  if (header.sh_addralign > kLargestAlignment) return false;
  Elf_Data* data = elf_newdata(copy);
  if (data == nullptr) return false;
  data->d_version = EV_CURRENT;
  data->d_align = header.sh_addralign;
  data->d_size = header.sh_size;
  if (needed && header.sh_type != SHT_NOBITS) {
    const Elf_Data* raw = elf_rawdata(from, nullptr);
    if (raw == nullptr) return false;
    data->d_buf = raw->d_buf;
    data->d_size = raw->d_size;
    // Raw bytes of any type: they are in file order already, so nothing may be converted on the way out.
    data->d_type = ELF_T_BYTE;
  }
  return gelf_update_shdr(copy, &header) != 0;
}

// Segments only say what is code; their content is not there.
bool CopySegments(Elf* from, Elf* to) {
  size_t count = 0;
  if (elf_getphdrnum(from, &count) != 0 || count == 0) return true;
  if (gelf_newphdr(to, count) == nullptr) return false;
  for (size_t i = 0; i < count; ++i) {
    GElf_Phdr segment;
    if (gelf_getphdr(from, static_cast<int>(i), &segment) == nullptr) return false;
    segment.p_offset = 0;
    segment.p_filesz = 0;
    if (gelf_update_phdr(to, static_cast<int>(i), &segment) == 0) return false;
  }
  return true;
}

bool Strip(Elf* from, Elf* to) {
  GElf_Ehdr header;
  size_t names = 0;
  if (gelf_getehdr(from, &header) == nullptr || elf_getshdrstrndx(from, &names) != 0) return false;
  if (names >= SHN_LORESERVE || gelf_newehdr(to, gelf_getclass(from)) == nullptr) return false;
  header.e_phoff = header.e_shoff = 0;
  header.e_phnum = header.e_shnum = 0;
  header.e_shstrndx = static_cast<GElf_Half>(names);
  if (gelf_update_ehdr(to, &header) == 0 || !CopySegments(from, to)) return false;
  Elf_Scn* section = nullptr;
  while ((section = elf_nextscn(from, section)) != nullptr) {
    if (!CopySection(section, to)) return false;
  }
  return elf_update(to, ELF_C_WRITE) >= 0;
}

Status CopyWhole(const ElfFile& file, int to, const std::string& path) {
  size_t size = 0;
  const char* bytes = elf_rawfile(file.elf(), &size);
  if (bytes == nullptr) return Error{"cannot read " + file.path() + ": " + elf_errmsg(-1)};
  if (ftruncate(to, 0) != 0 || lseek(to, 0, SEEK_SET) != 0) return ErrnoError("cannot write " + path, errno);
  for (size_t done = 0; done < size;) {
    const ssize_t wrote = write(to, bytes + done, size - done);
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0) return ErrnoError("cannot write " + path, errno);
    done += static_cast<size_t>(wrote);
  }
  return Ok();
}

}  // namespace

Status WriteDebugOnly(const ElfFile& file, const std::string& path) {
  UniqueFd fd(open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!fd.Valid()) return ErrnoError("cannot create " + path, errno);
  Elf* stripped = elf_begin(fd.Get(), ELF_C_WRITE, nullptr);
  const bool done = stripped != nullptr && Strip(file.elf(), stripped);
  if (stripped != nullptr) elf_end(stripped);
  if (!done) {
    Status copied = CopyWhole(file, fd.Get(), path);
    if (!copied) return copied;
  }
  if (fsync(fd.Get()) != 0) return ErrnoError("cannot write " + path, errno);
  return Ok();
}

}  // namespace leakhunt::symbolizer
