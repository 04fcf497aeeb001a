#include "collector/supervise/program_check.h"

#include <fcntl.h>
#include <gelf.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <memory>
#include <optional>
#include <sstream>

#include "collector/base/unique_fd.h"
#include "collector/supervise/search_path.h"

namespace leakhunt::supervise {
namespace {

constexpr int kMaxInterpreters = 4;

struct ElfCloser {
  void operator()(Elf* elf) const { elf_end(elf); }
};

// An ELF file opened for its headers; null when it is none.
class ElfFile {
 public:
  explicit ElfFile(const std::string& path) : fd_(open(path.c_str(), O_RDONLY | O_CLOEXEC)) {
    elf_version(EV_CURRENT);
    if (fd_.Valid()) elf_.reset(elf_begin(fd_.Get(), ELF_C_READ, nullptr));
    if (elf_ != nullptr && (elf_kind(elf_.get()) != ELF_K_ELF || gelf_getehdr(elf_.get(), &header_) == nullptr))
      elf_.reset();
  }

  explicit operator bool() const { return elf_ != nullptr; }
  const GElf_Ehdr& Header() const { return header_; }

  std::optional<GElf_Phdr> Segment(uint32_t type) const {
    size_t count = 0;
    elf_getphdrnum(elf_.get(), &count);
    for (size_t i = 0; i < count; ++i) {
      GElf_Phdr segment;
      if (gelf_getphdr(elf_.get(), static_cast<int>(i), &segment) != nullptr && segment.p_type == type) return segment;
    }
    return std::nullopt;
  }

  std::string Interpreter() const {
    auto segment = Segment(PT_INTERP);
    if (!segment) return "";
    char name[4096] = {};
    size_t length = std::min<size_t>(segment->p_filesz, sizeof(name) - 1);
    if (pread(fd_.Get(), name, length, static_cast<off_t>(segment->p_offset)) < 0) return "";
    return name;
  }

  bool Needs(std::string_view wanted) const { return HasName(DT_NEEDED, wanted); }
  // The loader of a C library, run as a command: its DT_SONAME begins so.
  bool IsNamed(std::string_view beginning) const { return HasName(DT_SONAME, beginning, true); }

 private:
  bool HasName(int64_t tag, std::string_view wanted, bool as_beginning = false) const {
    Elf_Scn* section = nullptr;
    while ((section = elf_nextscn(elf_.get(), section)) != nullptr) {
      GElf_Shdr header;
      if (gelf_getshdr(section, &header) == nullptr || header.sh_type != SHT_DYNAMIC || header.sh_entsize == 0)
        continue;
      Elf_Data* data = elf_getdata(section, nullptr);
      for (size_t i = 0; data != nullptr && i < data->d_size / header.sh_entsize; ++i) {
        GElf_Dyn entry;
        if (gelf_getdyn(data, static_cast<int>(i), &entry) == nullptr || entry.d_tag != tag) continue;
        const char* name = elf_strptr(elf_.get(), header.sh_link, entry.d_un.d_val);
        if (name != nullptr && (as_beginning ? std::string_view(name).starts_with(wanted) : wanted == name)) return true;
      }
    }
    return false;
  }

  UniqueFd fd_;
  std::unique_ptr<Elf, ElfCloser> elf_;
  GElf_Ehdr header_{};
};

// The interpreter a "#!" line names, `env` looked through; empty when `path` is no script.
std::string ScriptInterpreter(const std::string& path) {
  UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  char text[256] = {};
  if (!fd.Valid() || read(fd.Get(), text, sizeof(text) - 1) < 2 || text[0] != '#' || text[1] != '!') return "";
  std::string line(text + 2);
  std::istringstream words(line.substr(0, line.find('\n')));
  std::string interpreter, argument;
  words >> interpreter >> argument;
  if (interpreter.ends_with("/env") && !argument.empty() && argument[0] != '-') return FindProgram(argument).path;
  return interpreter;
}

bool IsPrivileged(const std::string& path) {
  struct stat status {};
  if (stat(path.c_str(), &status) != 0) return false;
  if ((status.st_mode & S_ISUID) != 0 && status.st_uid != geteuid()) return true;
  if ((status.st_mode & S_ISGID) != 0 && (status.st_mode & S_IXGRP) != 0 && status.st_gid != getegid()) return true;
  return geteuid() != 0 && getxattr(path.c_str(), "security.capability", nullptr, 0) > 0;
}

#if defined(__x86_64__)
constexpr uint16_t kOurMachine = EM_X86_64;
#else
constexpr uint16_t kOurMachine = EM_AARCH64;
#endif

Obstacle ObstacleOf(const std::string& path) {
  ElfFile elf(path);
  if (!elf) return Obstacle::kNone;
  if (elf.Header().e_ident[EI_CLASS] != ELFCLASS64 || elf.Header().e_machine != kOurMachine)
    return Obstacle::kOtherMachine;
  std::string interpreter = elf.Interpreter();
  // `ld-linux-x86-64.so.2 PROGRAM`: the loader needs none itself, and loads what LD_PRELOAD names.
  if (interpreter.empty() && elf.IsNamed("ld-linux")) return Obstacle::kNone;
  if (interpreter.empty()) return elf.IsNamed("libc.") ? Obstacle::kMusl : Obstacle::kStatic;
  if (IsPrivileged(path)) return Obstacle::kPrivileged;
  return interpreter.find("ld-musl") != std::string::npos ? Obstacle::kMusl : Obstacle::kNone;
}

}  // namespace

ProgramCheck CheckProgram(const std::string& path) {
  std::string file = path;
  for (int depth = 0; depth < kMaxInterpreters; ++depth) {
    std::string interpreter = ScriptInterpreter(file);
    if (interpreter.empty()) break;
    file = interpreter;
  }
  return {ObstacleOf(file), file};
}

bool LoadsUnderMusl(const std::string& library) {
  ElfFile elf(library);
  return elf && !elf.Needs("ld-linux-x86-64.so.2") && !elf.Needs("ld-linux-aarch64.so.1") && !elf.Needs("libgcc_s.so.1");
}

bool IsLibraryForUs(const std::string& path) {
  ElfFile elf(path);
  return elf && elf.Header().e_ident[EI_CLASS] == ELFCLASS64 && elf.Header().e_machine == kOurMachine &&
         elf.Header().e_type == ET_DYN;
}

std::string Explain(const ProgramCheck& check) {
  switch (check.obstacle) {
    case Obstacle::kNone:
      return "";
    case Obstacle::kStatic:
      return check.file +
             " is statically linked, so nothing can be recorded of it: link it dynamically (its dynamic children are "
             "recorded)";
    case Obstacle::kPrivileged:
      return check.file +
             " is set-user-ID, set-group-ID or has file capabilities, so the loader ignores leakhunt: run a plain copy "
             "of it as its user";
    case Obstacle::kMusl:
      return check.file +
             " uses musl, for which this libleakhunt.so was not built, so nothing is recorded: use a leakhunt built "
             "for musl";
    case Obstacle::kOtherMachine:
      return check.file +
             " is for another machine than libleakhunt.so (32-bit?), so nothing is recorded: use a build of leakhunt "
             "for that machine";
  }
  return "";
}

}  // namespace leakhunt::supervise
