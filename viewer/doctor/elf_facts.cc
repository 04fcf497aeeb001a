#include "viewer/doctor/elf_facts.h"

#include <elf.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <gelf.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <memory>

#include "collector/base/unique_fd.h"

namespace leakhunt::viewer {
namespace {

using ElfPointer = std::unique_ptr<Elf, decltype(&elf_end)>;

constexpr size_t kMostSymbols = 5'000'000;

std::string InterpreterOf(Elf* elf, const GElf_Phdr& header) {
  size_t size = 0;
  const char* bytes = elf_rawfile(elf, &size);
  if (bytes == nullptr || header.p_offset > size || header.p_filesz > size - header.p_offset) return "";
  const char* start = bytes + header.p_offset;
  return {start, ::strnlen(start, std::min<size_t>(header.p_filesz, 4096))};
}

void ReadSegments(Elf* elf, ElfFacts& facts) {
  size_t count = 0;
  if (elf_getphdrnum(elf, &count) != 0) return;
  for (size_t i = 0; i < count && i < 4096; ++i) {
    GElf_Phdr header;
    if (gelf_getphdr(elf, static_cast<int>(i), &header) == nullptr) continue;
    if (header.p_type == PT_DYNAMIC) facts.dynamic = true;
    if (header.p_type == PT_INTERP) facts.interpreter = InterpreterOf(elf, header);
  }
}

void ReadNeeded(Elf* elf, Elf_Scn* section, const GElf_Shdr& header, ElfFacts& facts) {
  Elf_Data* data = elf_getdata(section, nullptr);
  if (data == nullptr || header.sh_entsize == 0) return;
  size_t count = std::min<size_t>(header.sh_size / header.sh_entsize, 100'000);
  for (size_t i = 0; i < count; ++i) {
    GElf_Dyn entry;
    if (gelf_getdyn(data, static_cast<int>(i), &entry) == nullptr || entry.d_tag == DT_NULL) break;
    if (entry.d_tag == DT_SONAME) {
      const char* own = elf_strptr(elf, header.sh_link, entry.d_un.d_val);
      facts.is_loader = own != nullptr && std::string_view(own).starts_with("ld-linux");
    }
    if (entry.d_tag != DT_NEEDED) continue;
    if (const char* name = elf_strptr(elf, header.sh_link, entry.d_un.d_val)) facts.needed.emplace_back(name);
  }
}

void ReadSymbols(Elf* elf, Elf_Scn* section, const GElf_Shdr& header, ElfFacts& facts) {
  Elf_Data* data = elf_getdata(section, nullptr);
  if (data == nullptr || header.sh_entsize == 0) return;
  size_t count = std::min<size_t>(header.sh_size / header.sh_entsize, kMostSymbols);
  for (size_t i = 0; i < count; ++i) {
    GElf_Sym symbol;
    if (gelf_getsym(data, static_cast<int>(i), &symbol) == nullptr) break;
    if (symbol.st_shndx == SHN_UNDEF || GELF_ST_BIND(symbol.st_info) == STB_LOCAL) continue;
    const char* name = elf_strptr(elf, header.sh_link, symbol.st_name);
    if (name == nullptr || std::strcmp(name, "malloc") != 0) continue;
    facts.defines_malloc = true;
    if (header.sh_type == SHT_DYNSYM) facts.exports_malloc = true;
  }
}

void ReadSections(Elf* elf, ElfFacts& facts) {
  size_t names = 0;
  if (elf_getshdrstrndx(elf, &names) != 0) return;
  for (Elf_Scn* section = nullptr; (section = elf_nextscn(elf, section)) != nullptr;) {
    GElf_Shdr header;
    if (gelf_getshdr(section, &header) == nullptr) continue;
    if (header.sh_type == SHT_DYNAMIC) ReadNeeded(elf, section, header, facts);
    if (header.sh_type == SHT_DYNSYM || header.sh_type == SHT_SYMTAB) ReadSymbols(elf, section, header, facts);
    const char* name = elf_strptr(elf, names, header.sh_name);
    if (name != nullptr && std::strcmp(name, ".note.go.buildid") == 0) facts.is_go = true;
  }
}

}  // namespace

Result<ElfFacts> ReadElfFacts(const std::filesystem::path& file) {
  UniqueFd fd(::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!fd.Valid()) return ErrnoError("cannot read " + file.string(), errno);
  elf_version(EV_CURRENT);
  ElfPointer elf(elf_begin(fd.Get(), ELF_C_READ, nullptr), &elf_end);
  GElf_Ehdr header;
  if (!elf || elf_kind(elf.get()) != ELF_K_ELF || gelf_getehdr(elf.get(), &header) == nullptr) {
    return Error{file.string() + " is not an ELF file"};
  }
  ElfFacts facts;
  facts.machine = header.e_machine;
  facts.is_64_bit = gelf_getclass(elf.get()) == ELFCLASS64;
  ReadSegments(elf.get(), facts);
  ReadSections(elf.get(), facts);
  return facts;
}

std::string ScriptInterpreter(const std::filesystem::path& file) {
  std::ifstream stream(file, std::ios::binary);
  char bytes[256];
  stream.read(bytes, sizeof bytes);
  std::string line(bytes, static_cast<size_t>(stream.gcount()));
  if (!line.starts_with("#!")) return "";
  line = line.substr(2, line.find('\n') - 2);
  size_t start = line.find_first_not_of(" \t");
  if (start == std::string::npos) return "";
  size_t end = line.find_first_of(" \t", start);
  std::string interpreter = line.substr(start, end == std::string::npos ? end : end - start);
  if (!interpreter.ends_with("/env") || end == std::string::npos) return interpreter;
  size_t word = line.find_first_not_of(" \t", end);
  if (word == std::string::npos || line[word] == '-') return interpreter;
  size_t word_end = line.find_first_of(" \t", word);
  return line.substr(word, word_end == std::string::npos ? word_end : word_end - word);
}

const char* MachineName(uint16_t machine) {
  switch (machine) {
    case EM_X86_64: return "x86-64";
    case EM_386: return "i386";
    case EM_AARCH64: return "aarch64";
    case EM_ARM: return "arm";
    case EM_RISCV: return "riscv";
    case EM_PPC64: return "ppc64";
    case EM_S390: return "s390x";
    default: return "another machine";
  }
}

}  // namespace leakhunt::viewer
