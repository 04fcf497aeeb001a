#include "collector/attach/safe_point.h"

#include <elfutils/libdwfl.h>

#include <array>
#include <cstring>
#include <string_view>
#include <utility>

namespace leakhunt::attach {
namespace {

int NoDebugInfo(Dwfl_Module*, void**, const char*, Dwarf_Addr, const char*, const char*, GElf_Word, char**) { return -1; }

constexpr Dwfl_Callbacks kCallbacks = {
    .find_elf = dwfl_linux_proc_find_elf, .find_debuginfo = NoDebugInfo, .section_address = nullptr, .debuginfo_path = nullptr};

bool ContainsOneOf(std::string_view text, std::initializer_list<std::string_view> parts) {
  for (std::string_view part : parts) {
    if (text.find(part) != std::string_view::npos) return true;
  }
  return false;
}

std::string_view BaseName(const char* path) {
  std::string_view name = path == nullptr ? "" : path;
  return name.substr(name.rfind('/') + 1);
}

bool IsLoader(std::string_view module) { return module.starts_with("ld-linux") || module.starts_with("ld-2.") || module.starts_with("ld.so"); }
bool IsLibc(std::string_view module) {
  return module.starts_with("libc.so") || module.starts_with("libc-2.") || module.starts_with("ld-musl");
}
bool IsAllocator(std::string_view module) {
  return ContainsOneOf(module, {"jemalloc", "tcmalloc", "mimalloc", "libasan", "libtsan", "liblsan", "libleakhunt"});
}

bool StartsWithOneOf(std::string_view text, std::initializer_list<std::string_view> beginnings) {
  for (std::string_view beginning : beginnings) {
    if (text.starts_with(beginning)) return true;
  }
  return false;
}

// Functions of the C library that hold a lock of the allocator's or the loader's, or that are making a process or
// ending one.
bool IsDelicateInLibc(std::string_view function) {
  return ContainsOneOf(function, {"malloc", "calloc", "realloc", "memalign", "aligned_alloc", "valloc", "free", "mallinfo",
                                  "mallopt", "dlopen", "dlclose", "dlsym", "dl_iterate", "_dl_", "tls_get", "fork"}) ||
         function == "exit" || function == "quick_exit" || function == "posix_spawn" || function == "posix_spawnp" ||
         function.starts_with("pthread_create");
}

// An allocator that is linked into an executable or a library of the program's.
bool IsDelicateElsewhere(std::string_view function) {
  return StartsWithOneOf(function, {"malloc", "calloc", "realloc", "free", "memalign", "posix_memalign", "aligned_alloc", "je_",
                                    "rjem_", "_rjem_", "mi_", "tc_", "arena_", "_Zn", "_Zd"});
}

struct Walk {
  bool delicate = false;
  bool in_libc = false;            // the frame before was libc's
  bool libc_entry_known = true;    // … and its function has a name
  int frames = 0;
};

int SeeFrame(Dwfl_Frame* frame, void* context) {
  auto* walk = static_cast<Walk*>(context);
  Dwarf_Addr pc = 0;
  bool is_activation = false;
  if (!dwfl_frame_pc(frame, &pc, &is_activation)) return walk->delicate = true, DWARF_CB_ABORT;
  if (!is_activation) --pc;
  Dwfl_Module* module = dwfl_addrmodule(dwfl_thread_dwfl(dwfl_frame_thread(frame)), pc);
  const char* path = nullptr;
  std::string_view name;
  if (module != nullptr) name = BaseName(dwfl_module_info(module, nullptr, nullptr, nullptr, nullptr, nullptr, &path, nullptr));
  if (path != nullptr) name = BaseName(path);
  const char* symbol = nullptr;
  GElf_Off offset = 0;
  GElf_Sym entry{};
  if (module != nullptr) symbol = dwfl_module_addrinfo(module, pc, &offset, &entry, nullptr, nullptr, nullptr);
  bool known = symbol != nullptr && (entry.st_size == 0 || offset < entry.st_size);
  bool libc = IsLibc(name);
  // The C library was entered through a function without a name while other code waits for it: it may be any.
  if (walk->in_libc && !libc && !walk->libc_entry_known) walk->delicate = true;
  if (IsLoader(name) || IsAllocator(name)) walk->delicate = true;
  if (known && (libc ? IsDelicateInLibc(symbol) : IsDelicateElsewhere(symbol))) walk->delicate = true;
  walk->in_libc = libc;
  walk->libc_entry_known = known;
  ++walk->frames;
  return DWARF_CB_OK;
}

}  // namespace

Result<SafePoint> SafePoint::Of(pid_t pid) {
  Dwfl* dwfl = dwfl_begin(&kCallbacks);
  if (dwfl == nullptr) return Error{dwfl_errmsg(-1)};
  SafePoint point(dwfl);
  if (dwfl_linux_proc_report(dwfl, pid) != 0 || dwfl_report_end(dwfl, nullptr, nullptr) != 0 ||
      dwfl_linux_proc_attach(dwfl, pid, true) != 0) {
    return Error{"cannot read the objects of process " + std::to_string(pid) + ": " + dwfl_errmsg(-1)};
  }
  return point;
}

SafePoint::SafePoint(SafePoint&& other) noexcept : dwfl_(std::exchange(other.dwfl_, nullptr)) {}

SafePoint::~SafePoint() {
  if (dwfl_ != nullptr) dwfl_end(dwfl_);
}

bool SafePoint::IsAt(pid_t tid) const {
  Walk walk;
  int ended = dwfl_getthread_frames(dwfl_, tid, SeeFrame, &walk);
  return ended == 0 && walk.frames > 0 && !walk.delicate;
}

}  // namespace leakhunt::attach
