#include "collector/attach/target.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <gelf.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <map>
#include <memory>
#include <optional>
#include <sstream>

#include "collector/attach/traced_thread.h"
#include "collector/supervise/program_check.h"
#include "collector/watch/proc_directory.h"

namespace leakhunt::attach {
namespace {

// glibc's mark for calls of dlopen by its own name for it (include/dlfcn.h: __RTLD_DLOPEN).
constexpr uint64_t kInternalOpen = 0x80000000;
constexpr uint64_t kOpenFlags = RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE;

std::string Named(pid_t pid) { return "process " + std::to_string(pid); }
std::string Proc(pid_t pid, const std::string& name) { return "/proc/" + std::to_string(pid) + "/" + name; }

struct Mapping {
  uint64_t start = 0, offset = 0, inode = 0;
  std::string path;
};

std::vector<Mapping> ReadMappings(pid_t pid) {
  std::vector<Mapping> mappings;
  std::istringstream lines(watch::ReadFile(Proc(pid, "maps"), 64u << 20).value_or(""));
  for (std::string line; std::getline(lines, line);) {
    Mapping mapping;
    uint64_t end = 0;
    int path_at = 0;
    if (std::sscanf(line.c_str(), "%lx-%lx %*s %lx %*s %lu %n", &mapping.start, &end, &mapping.offset, &mapping.inode, &path_at) < 4) continue;
    mapping.path = line.substr(static_cast<size_t>(path_at));
    mappings.push_back(std::move(mapping));
  }
  return mappings;
}

struct ElfCloser {
  void operator()(Elf* elf) const { elf_end(elf); }
};

// The defined functions of a mapped object, by name, as addresses in the process.
using Functions = std::map<std::string, uint64_t>;
std::optional<Functions> ReadFunctions(pid_t pid, const Mapping& first) {
  UniqueFd file(open((Proc(pid, "root") + first.path).c_str(), O_RDONLY | O_CLOEXEC));
  struct stat status {};
  if (!file.Valid() || fstat(file.Get(), &status) != 0 || status.st_ino != first.inode) return std::nullopt;
  elf_version(EV_CURRENT);
  std::unique_ptr<Elf, ElfCloser> elf(elf_begin(file.Get(), ELF_C_READ_MMAP, nullptr));
  if (elf == nullptr || elf_kind(elf.get()) != ELF_K_ELF) return std::nullopt;
  size_t segments = 0;
  elf_getphdrnum(elf.get(), &segments);
  uint64_t bias = first.start;
  for (size_t i = 0; i < segments; ++i) {
    GElf_Phdr segment;
    if (gelf_getphdr(elf.get(), static_cast<int>(i), &segment) == nullptr || segment.p_type != PT_LOAD) continue;
    bias = first.start - (segment.p_vaddr - segment.p_offset);
    break;
  }
  Functions functions;
  for (Elf_Scn* section = nullptr; (section = elf_nextscn(elf.get(), section)) != nullptr;) {
    GElf_Shdr header;
    if (gelf_getshdr(section, &header) == nullptr || header.sh_type != SHT_DYNSYM || header.sh_entsize == 0) continue;
    Elf_Data* data = elf_getdata(section, nullptr);
    for (size_t i = 0; data != nullptr && i < data->d_size / header.sh_entsize; ++i) {
      GElf_Sym symbol;
      if (gelf_getsym(data, static_cast<int>(i), &symbol) == nullptr || symbol.st_shndx == SHN_UNDEF) continue;
      if (GELF_ST_TYPE(symbol.st_info) != STT_FUNC) continue;
      const char* name = elf_strptr(elf.get(), header.sh_link, symbol.st_name);
      if (name != nullptr) functions.emplace(name, bias + symbol.st_value);
    }
  }
  return functions;
}

bool IsCLibrary(const std::string& name) { return name == "libc.so.6" || name.starts_with("libc-2."); }
bool IsLoaderInterface(const std::string& name) { return name == "libdl.so.2" || name.starts_with("libdl-2."); }

uint64_t Find(const Functions& functions, const char* name) {
  auto found = functions.find(name);
  return found == functions.end() ? 0 : found->second;
}

// The first `syscall` instruction (0F 05) of the function.
uint64_t FindInstruction(pid_t pid, uint64_t function) {
  auto memory = RemoteMemory::Open(pid);
  std::array<unsigned char, 64> code{};
  if (!memory || function == 0 || !memory->Read(function, code.data(), code.size())) return 0;
  for (size_t i = 0; i + 1 < code.size(); ++i) {
    if (code[i] == 0x0F && code[i + 1] == 0x05) return function + i;
  }
  return 0;
}

// What the library asks of the kernel when it is loaded and while it records, done once; true when we outlive it.
bool SurvivesLoading() {
  pid_t child = fork();
  if (child == 0) {
    int fd = static_cast<int>(syscall(SYS_memfd_create, "probe", 1u));
    (void)!ftruncate(fd, 4096);
    void* page = mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (page != MAP_FAILED) mprotect(page, 4096, PROT_READ), madvise(page, 4096, MADV_DONTDUMP);
    char text[64];
    uint64_t random = 0;
    struct sysinfo info {};
    fcntl(fd, F_DUPFD_CLOEXEC, 900);
    (void)!readlink("/proc/self/exe", text, sizeof(text));
    (void)!syscall(SYS_getrandom, &random, sizeof(random), 1);
    prctl(PR_GET_NAME, text);
    sysinfo(&info);
    sched_yield();
    (void)!syscall(SYS_brk, 0);
    _exit(0);
  }
  int status = -1;
  return child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status);
}

// As many filters as this process has: those of the container that both are in, and none of its own. What they allow can
// be tried here.
bool HasOurFilters(const std::string& status) {
  std::string own = watch::ReadFile("/proc/self/status").value_or("");
  auto ours = watch::NumberAfter(own, "Seccomp_filters:"), theirs = watch::NumberAfter(status, "Seccomp_filters:");
  return watch::NumberAfter(own, "Seccomp:").value_or(0) == 2 && ours && theirs && *ours == *theirs && SurvivesLoading();
}

Status CheckState(pid_t pid) {
  std::string status = watch::ReadFile(Proc(pid, "status")).value_or("");
  if (status.empty()) return Error{"there is no " + Named(pid)};
  auto tracer = watch::NumberAfter(status, "TracerPid:");
  if (tracer.value_or(0) != 0)
    return Error{Named(pid) + " is being traced by process " + std::to_string(*tracer) + " (a debugger, strace?): end that first"};
  if (watch::NumberAfter(status, "Seccomp:").value_or(0) != 0 && !HasOurFilters(status))
    return Error{Named(pid) + " runs under a seccomp filter, which may kill it for loading a library: restart it under "
                              "leakhunt-collect -- COMMAND, which records from before the filter"};
  auto stat = watch::ParseProcessStat(watch::ReadFile(Proc(pid, "stat")).value_or(""));
  if (stat && (stat->state == 'Z' || stat->state == 'X')) {
    const auto directory = watch::ProcDirectory::Open(pid);
    const bool alone = directory && directory->OfLivingThread();
    return Error{alone ? "cannot attach to " + Named(pid) + ": its first thread has ended" : Named(pid) + " has ended"};
  }
  if (stat && stat->state == 'T') return Error{Named(pid) + " is stopped: continue it (kill -CONT " + std::to_string(pid) + ") first"};
  return Ok();
}

Status CheckImage(pid_t pid) {
  supervise::ProgramCheck check = supervise::CheckProgram(Proc(pid, "exe"));
  std::string before = Named(pid);
  switch (check.obstacle) {
    case supervise::Obstacle::kStatic:
      return Error{before + " is statically linked: it has no loader that could load a library, and nothing can be recorded of it"};
    case supervise::Obstacle::kMusl:
      return Error{before + " uses musl, into which this libleakhunt.so cannot be loaded"};
    case supervise::Obstacle::kOtherMachine:
      return Error{before + " is for another machine than libleakhunt.so (32-bit?): use a build of leakhunt for that machine"};
    case supervise::Obstacle::kPrivileged:
    case supervise::Obstacle::kNone: return Ok();
  }
  return Ok();
}

Status CheckLibrary(pid_t pid, const std::filesystem::path& library) {
  if (library.empty()) return Error{"cannot find libleakhunt.so beside this program: set LEAKHUNT_LIBRARY"};
  struct stat ours {}, theirs {};
  if (stat(library.c_str(), &ours) != 0) return ErrnoError("cannot use " + library.native(), errno);
  if (stat((Proc(pid, "root") + library.native()).c_str(), &theirs) == 0 && ours.st_ino == theirs.st_ino && ours.st_dev == theirs.st_dev)
    return Ok();
  return Error{Named(pid) + " does not see " + library.native() + " (it is in a container?): run leakhunt-collect in there"};
}

}  // namespace

Status CheckTarget(pid_t pid, const std::filesystem::path& library) {
  if (Status state = CheckState(pid); !state) return state;
  if (Status image = CheckImage(pid); !image) return image;
  return CheckLibrary(pid, library);
}

Result<TargetFunctions> FindFunctions(pid_t pid) {
  Functions libc, interface;
  for (const Mapping& mapping : ReadMappings(pid)) {
    std::string name = mapping.path.substr(mapping.path.rfind('/') + 1);
    if (mapping.offset != 0 || (!IsCLibrary(name) && !IsLoaderInterface(name))) continue;
    auto functions = ReadFunctions(pid, mapping);
    if (functions) (IsCLibrary(name) ? libc : interface) = std::move(*functions);
  }
  TargetFunctions found;
  found.dlopen_flags = kOpenFlags;
  const Functions& has_open = Find(libc, "dlopen") != 0 ? libc : interface;
  found.dlopen = Find(has_open, "dlopen");
  found.dlsym = Find(has_open, "dlsym");
  found.dlerror = Find(has_open, "dlerror");
  if (found.dlopen == 0 || found.dlsym == 0) {
    found.dlopen = Find(libc, "__libc_dlopen_mode");
    found.dlsym = Find(libc, "__libc_dlsym");
    found.dlopen_flags |= kInternalOpen;
  }
  found.errno_location = Find(libc, "__errno_location");
  found.syscall_instruction = FindInstruction(pid, Find(libc, "syscall"));
  if (found.dlopen == 0 || found.dlsym == 0 || found.errno_location == 0 || found.syscall_instruction == 0)
    return Error{"cannot find the C library of " + Named(pid) + " in its memory (not readable, replaced on disk since it started, or none): restart "
                 "it under leakhunt-collect -- COMMAND"};
  return found;
}

}  // namespace leakhunt::attach
