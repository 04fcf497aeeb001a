// Opening ELF files through libelf; see elf_file.h.
#include "symbolizer/elf_file.h"

#include <elfutils/libdwelf.h>
#include <fcntl.h>
#include <gelf.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstring>

namespace leakhunt::symbolizer {
namespace {

constexpr size_t kLargestBuildId = 64;

std::string BuildIdOf(Elf* elf) {
  const void* bytes = nullptr;
  const ssize_t size = dwelf_elf_gnu_build_id(elf, &bytes);
  if (size <= 0 || static_cast<size_t>(size) > kLargestBuildId) return {};
  return ToHex(bytes, size);
}

std::vector<std::pair<uint64_t, uint64_t>> ExecutableSegments(Elf* elf) {
  std::vector<std::pair<uint64_t, uint64_t>> code;
  size_t count = 0;
  if (elf_getphdrnum(elf, &count) != 0) return code;
  for (size_t i = 0; i < count; ++i) {
    GElf_Phdr segment;
    if (gelf_getphdr(elf, static_cast<int>(i), &segment) == nullptr) break;
    if (segment.p_type != PT_LOAD || (segment.p_flags & PF_X) == 0) continue;
    if (segment.p_vaddr + segment.p_memsz < segment.p_vaddr) continue;
    code.emplace_back(segment.p_vaddr, segment.p_vaddr + segment.p_memsz);
  }
  return code;
}

}  // namespace

std::string ToHex(const void* bytes, size_t size) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string hex;
  for (size_t i = 0; i < size; ++i) {
    const unsigned byte = static_cast<const unsigned char*>(bytes)[i];
    hex += kDigits[byte >> 4];
    hex += kDigits[byte & 15];
  }
  return hex;
}

Result<std::unique_ptr<ElfFile>> ElfFile::Open(const std::string& path) {
  elf_version(EV_CURRENT);
  // O_NONBLOCK: a recorded path may name a FIFO by now.
  UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (!fd.Valid()) return ErrnoError("cannot open " + path, errno);
  struct stat status;
  if (fstat(fd.Get(), &status) != 0) return ErrnoError("cannot read " + path, errno);
  if (!S_ISREG(status.st_mode)) return Error{"cannot read " + path + ": not a regular file"};
  Elf* elf = elf_begin(fd.Get(), ELF_C_READ_MMAP, nullptr);
  if (elf == nullptr) return Error{"cannot read " + path + ": " + elf_errmsg(-1)};
  GElf_Ehdr header;
  if (elf_kind(elf) != ELF_K_ELF || gelf_getehdr(elf, &header) == nullptr) {
    elf_end(elf);
    return Error{"cannot read " + path + ": not an ELF file"};
  }
  return std::unique_ptr<ElfFile>(new ElfFile(path, std::move(fd), elf));
}

ElfFile::ElfFile(std::string path, UniqueFd fd, Elf* elf)
    : path_(std::move(path)),
      fd_(std::move(fd)),
      elf_(elf),
      build_id_(BuildIdOf(elf)),
      code_(ExecutableSegments(elf)) {}

ElfFile::~ElfFile() { elf_end(elf_); }

bool ElfFile::HasSection(const char* name) const {
  size_t names = 0;
  if (elf_getshdrstrndx(elf_, &names) != 0) return false;
  Elf_Scn* section = nullptr;
  while ((section = elf_nextscn(elf_, section)) != nullptr) {
    GElf_Shdr header;
    if (gelf_getshdr(section, &header) == nullptr) continue;
    const char* found = elf_strptr(elf_, names, header.sh_name);
    if (found != nullptr && std::strcmp(found, name) == 0) return header.sh_type != SHT_NOBITS && header.sh_size > 0;
  }
  return false;
}

DebugLink ElfFile::GnuDebugLink() const {
  GElf_Word crc = 0;
  const char* name = dwelf_elf_gnu_debuglink(elf_, &crc);
  if (name == nullptr || *name == '\0' || std::strchr(name, '/') != nullptr) return {};
  return DebugLink{name, crc};
}

bool ElfFile::IsCode(uint64_t address) const {
  if (code_.empty()) return true;
  for (const auto& [start, end] : code_) {
    if (address >= start && address < end) return true;
  }
  return false;
}

}  // namespace leakhunt::symbolizer
