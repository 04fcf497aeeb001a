// Three ways to ask for an object: _dl_find_object, the list of Initialize, /proc/thread-self/maps. See loaded_object.h.
#include "preload/unwind/loaded_object.h"

#include <fcntl.h>
#include <sys/auxv.h>

#include "preload/sys/atomic.h"
#include "preload/sys/memory.h"
#include "preload/sys/syscall.h"
#include "preload/sys/text.h"
#include "preload/unwind/dynamic_symbol.h"
#include "preload/unwind/loader_list.h"
#include "preload/unwind/memory_maps.h"

namespace leakhunt::unwind {
namespace {

// struct dl_find_object of glibc's ABI on 64-bit machines.
struct FoundObject {
  uint64_t flags;
  void* start;
  void* end;
  link_map* map;
  void* eh_frame;
  uint64_t reserved[7];
};
using FindObjectFunction = int (*)(void* address, FoundObject* result);

constexpr uint32_t kMaxInitial = 512;

constinit FindObjectFunction g_find_object = nullptr;
constinit LoadedObject g_vdso{};
constinit LoadedObject* g_initial = nullptr;  // all objects at Initialize; only kept without g_find_object
constinit uint32_t g_initial_count = 0;
constinit char g_executable[4096] = {};       // /proc/self/exe: the loader calls the main program ""

const char* ExecutablePath() {
  if (sys::LoadAcquire(&g_executable[0]) == 0) {
    char path[sizeof(g_executable)];
    // Started as `ld-linux-x86-64.so.2 PROGRAM`, /proc says that the loader runs; the auxiliary vector, that it has no loader, and
    // where the program's headers are.
    Mapping headers;
    if (getauxval(AT_BASE) == 0 && FindMapping(getauxval(AT_PHDR), &headers) && headers.path[0] == '/' &&
        sys::Length(headers.path) + 1 < sizeof(headers.path)) {
      for (uint64_t i = sys::Length(headers.path); i-- > 0;) sys::StoreRelease(&g_executable[i], headers.path[i]);
      return g_executable;
    }
    long bytes = sys::Call(SYS_readlinkat, AT_FDCWD, sys::Word("/proc/self/exe"), sys::Word(path), sizeof(path) - 1);
    if (sys::Failed(bytes) || bytes <= 0) return "";
    for (long i = bytes; i-- > 0;) sys::StoreRelease(&g_executable[i], path[i]);  // first character last
  }
  return g_executable;
}

bool IsVdsoName(const char* name) { return sys::StartsWith(name, "linux-vdso") || sys::StartsWith(name, "linux-gate"); }

// Loader names to paths: "" is the main program.
const char* PathOf(const char* name) {
  if (name == nullptr || *name == 0) return ExecutablePath();
  return IsVdsoName(name) ? "[vdso]" : name;
}

// Program headers through the ELF header at `base`, where the object's first page is mapped.
bool ReadHeaders(uint64_t base, LoadedObject* object) {
  const auto* elf = reinterpret_cast<const ElfW(Ehdr)*>(base);
  if (__builtin_memcmp(elf->e_ident, ELFMAG, SELFMAG) != 0 || elf->e_phentsize != sizeof(ElfW(Phdr))) return false;
  if (elf->e_phoff + elf->e_phnum * sizeof(ElfW(Phdr)) > 4096) return false;
  object->headers = reinterpret_cast<const ElfW(Phdr)*>(base + elf->e_phoff);
  object->header_count = elf->e_phnum;
  return true;
}

// Sets start and end to the span of the loaded segments.
void MeasureSpan(LoadedObject* object) {
  object->start = ~uint64_t{0};
  object->end = 0;
  for (uint32_t i = 0; i < object->header_count; ++i) {
    const ElfW(Phdr)& header = object->headers[i];
    if (header.p_type != PT_LOAD) continue;
    uint64_t start = (object->bias + header.p_vaddr) & ~uint64_t{4095};
    uint64_t end = (object->bias + header.p_vaddr + header.p_memsz + 4095) & ~uint64_t{4095};
    if (start < object->start) object->start = start;
    if (end > object->end) object->end = end;
  }
}

LoadedObject FromLoader(const dl_phdr_info& info) {
  LoadedObject object;
  object.bias = info.dlpi_addr;
  object.headers = info.dlpi_phdr;
  object.header_count = info.dlpi_phnum;
  MeasureSpan(&object);
  object.probe = object.start;
  object.path = PathOf(info.dlpi_name);
  object.identity = reinterpret_cast<uint64_t>(info.dlpi_phdr);
  return object;
}

int Remember(dl_phdr_info* info, size_t, void* is_first) {
  LoadedObject object = FromLoader(*info);
  if (object.start >= object.end) return 0;
  bool* first = static_cast<bool*>(is_first);
  if (*first) {
    object.path = ExecutablePath();  // musl names the main program by argv[0]
    object.entry = getauxval(AT_ENTRY);
  }
  *first = false;
  if (info->dlpi_name != nullptr && IsVdsoName(info->dlpi_name)) g_vdso = object;
  for (uint32_t i = 0; i < object.header_count && g_find_object == nullptr; ++i) {
    if (object.headers[i].p_type != PT_DYNAMIC) continue;
    const auto* dynamic = reinterpret_cast<const ElfW(Dyn)*>(object.bias + object.headers[i].p_vaddr);
    uint64_t found = FindDynamicFunction(object.bias, dynamic, "_dl_find_object");
    g_find_object = reinterpret_cast<FindObjectFunction>(found);
  }
  if (g_initial != nullptr && g_initial_count < kMaxInitial) g_initial[g_initial_count++] = object;
  return 0;
}

// The object's headers, once the loader has said where the pc's part of it lies. An object with gaps between its
// segments is known to the loader segment by segment, so `found.start` need not be its first page.
bool FindHeaders(const FoundObject& found, LoadedObject* object) {
  if (found.map->l_name == nullptr || found.map->l_name[0] == 0) {  // the main program
    object->headers = reinterpret_cast<const ElfW(Phdr)*>(getauxval(AT_PHDR));
    object->header_count = static_cast<uint32_t>(getauxval(AT_PHNUM));
    object->entry = getauxval(AT_ENTRY);
    return object->headers != nullptr;
  }
  if (ReadHeaders(reinterpret_cast<uint64_t>(found.start), object)) return true;
  FoundObject first;
  return g_find_object(reinterpret_cast<void*>(found.map->l_addr), &first) == 0 && first.map == found.map &&
         ReadHeaders(found.map->l_addr, object);
}

uint64_t IdentityOf(const FoundObject& found) {
  return reinterpret_cast<uint64_t>(found.map) ^ reinterpret_cast<uint64_t>(found.eh_frame) << 1;
}

// Reads the object and the loader's record of it: the caller's stack must keep it loaded.
bool AskLoader(uint64_t pc, LoadedObject* object) {
  FoundObject found;
  if (g_find_object(reinterpret_cast<void*>(pc), &found) != 0) return false;
  object->probe = object->start = reinterpret_cast<uint64_t>(found.start);
  object->end = reinterpret_cast<uint64_t>(found.end);
  object->bias = found.map->l_addr;
  object->dynamic = found.map->l_ld;
  object->map = found.map;
  object->eh_frame_header = reinterpret_cast<uint64_t>(found.eh_frame);
  object->identity = IdentityOf(found);
  object->path = PathOf(found.map->l_name);
  if (!FindHeaders(found, object)) return true;
  MeasureSpan(object);
  if (pc >= object->start && pc < object->end) return true;
  object->headers = nullptr;  // another object's headers: keep what the loader said
  object->start = object->probe;
  object->end = reinterpret_cast<uint64_t>(found.end);
  return true;
}

// An object the loader told us nothing about: its first mapping, from the kernel.
bool AskKernel(uint64_t pc, LoadedObject* object) {
  Mapping at, first;
  if (!FindMapping(pc, &at) || at.inode == 0 || !at.executable) return false;
  MapsReader reader;
  while (reader.Next(&first) && first.start <= pc) {
    if (first.inode != at.inode || first.offset != 0 || !first.readable) continue;
    LoadedObject candidate;
    candidate.start = first.start;
    candidate.end = at.end;
    if (!ReadHeaders(candidate.start, &candidate)) continue;
    dl_phdr_info info{};
    info.dlpi_phdr = candidate.headers;
    info.dlpi_phnum = static_cast<ElfW(Half)>(candidate.header_count);
    info.dlpi_name = "?";
    uint64_t lowest = FromLoader(info).start;  // with bias 0: the lowest virtual address
    info.dlpi_addr = candidate.start - lowest;
    *object = FromLoader(info);
    if (pc < object->start || pc >= object->end) continue;
    object->identity = at.inode << 16 ^ at.device;
    uint64_t length = sys::Length(first.path);
    char* path = static_cast<char*>(sys::Carve(length + 1));
    if (path != nullptr) sys::Copy(path, first.path, length);
    object->path = path != nullptr ? path : "";
    return true;
  }
  return false;
}

using IterateFunction = int (*)(int (*visit)(dl_phdr_info*, size_t, void*), void* context);

// libc's own function. A sanitizer's, which stands before it in programs built with one, is null inside until the sanitizer
// has begun; it allocates before that, and so we may be here. libc and what stands before it in the list is never unloaded.
IterateFunction LibcsIterate() {
  for (const link_map* object = FirstListed(FindMainProgram()); object != nullptr; object = object->l_next) {
    const char* name = object->l_name;
    for (const char* c = name; name != nullptr && *c != 0; ++c) {
      if (*c == '/') name = c + 1;
    }
    if (name == nullptr || object->l_ld == nullptr || !sys::StartsWith(name, "libc.so")) continue;
    uint64_t found = FindDynamicFunction(object->l_addr, object->l_ld, "dl_iterate_phdr");
    if (found != 0) return reinterpret_cast<IterateFunction>(found);
  }
  return &dl_iterate_phdr;
}

bool Covers(const LoadedObject& object, uint64_t pc) { return pc >= object.start && pc < object.end; }

}  // namespace

void InitializeLoadedObjects() {
  const IterateFunction iterate = LibcsIterate();
  bool first = true;
  iterate(Remember, &first);
  if (g_find_object != nullptr || g_initial != nullptr) return;
  g_initial = static_cast<LoadedObject*>(sys::MapPrivate(kMaxInitial * sizeof(LoadedObject)));
  first = true;
  iterate(Remember, &first);
}

bool FindLoadedObject(uint64_t pc, LoadedObject* object) {
  *object = LoadedObject{};
  if (Covers(g_vdso, pc)) return *object = g_vdso, true;
  if (g_find_object != nullptr) return AskLoader(pc, object);
  for (uint32_t i = 0; i < g_initial_count; ++i) {
    if (Covers(g_initial[i], pc)) return *object = g_initial[i], true;
  }
  return AskKernel(pc, object);
}

bool StillLoaded(uint64_t probe, uint64_t identity) {
  LoadedObject object;
  if (Covers(g_vdso, probe)) return true;
  for (uint32_t i = 0; i < g_initial_count; ++i) {
    if (g_initial[i].probe == probe) return true;  // loaded with the program: never unloaded (musl unloads nothing)
  }
  if (g_find_object != nullptr) {  // nothing of the object is read: another thread may be unmapping it
    FoundObject found;
    return g_find_object(reinterpret_cast<void*>(probe), &found) == 0 && IdentityOf(found) == identity;
  }
  return FindLoadedObject(probe, &object) && object.identity == identity;
}

bool LoaderAnswersLockFree() { return g_find_object != nullptr; }

}  // namespace leakhunt::unwind
