#include "preload/core/process_identity.h"

#include <dlfcn.h>
#include <fcntl.h>

#include "preload/sys/memory.h"
#include "preload/sys/syscall.h"
#include "preload/sys/text.h"

extern "C" char** environ __attribute__((weak));
// Exported by the programs of leakhunt alone (scripts/cmake/OwnProgram.cmake).
extern "C" const char leakhunt_own_program __attribute__((weak));

namespace leakhunt::core {
namespace {

// Reads a whole small file. Returns bytes read; `buffer` is NUL-terminated.
uint32_t ReadFile(const char* path, char* buffer, uint32_t capacity) {
  buffer[0] = 0;
  long fd = sys::Open(path, O_RDONLY | O_CLOEXEC);
  if (sys::Failed(fd)) return 0;
  uint32_t used = 0;
  while (used + 1 < capacity) {
    long bytes = sys::Read(static_cast<int>(fd), buffer + used, capacity - 1 - used);
    if (bytes <= 0) break;
    used += static_cast<uint32_t>(bytes);
  }
  buffer[used] = 0;
  sys::Close(static_cast<int>(fd));
  return used;
}

uint64_t ParseDigits(const char* text) {
  uint64_t value = 0;
  while (*text >= '0' && *text <= '9' && value < (uint64_t{1} << 59)) value = value * 10 + static_cast<uint64_t>(*text++ - '0');
  return value;
}

// Field `wanted` (1-based) of /proc/self/stat; the command in parentheses may hold spaces, so count from the last ')'.
uint64_t StatField(const char* stat, int wanted) {
  const char* at = nullptr;
  for (const char* c = stat; *c != 0; ++c) {
    if (*c == ')') at = c;
  }
  if (at == nullptr) return 0;
  int field = 2;
  for (; *at != 0 && field < wanted; ++at) {
    if (*at == ' ') ++field;
  }
  return ParseDigits(at);
}

// The name in parentheses; it may hold any of them itself.
void CopyCommand(const char* stat, char* name, uint32_t capacity) {
  const char* from = stat;
  while (*from != 0 && *from != '(') ++from;
  const char* end = from;
  for (const char* c = from; *c != 0; ++c) {
    if (*c == ')') end = c;
  }
  if (*from == 0 || end == from) return;
  uint32_t n = 0;
  for (++from; from < end && n + 1 < capacity; ++from) name[n++] = *from;
  name[n] = 0;
}

// The cgroup directory whose limit is the tightest, and the name of its usage file.
struct TightestCgroup {
  uint64_t limit;
  char directory[512];
  const char* usage_file;
};
constinit TightestCgroup g_cgroup = {};

// Value of a limit file in one cgroup directory and those above it; the least.
void NoteTightest(const char* mount, const char* path, uint64_t path_bytes, const char* file, const char* usage_file) {
  char value[64];
  for (;;) {
    sys::Text<512> directory, name;
    directory.Add(mount);
    for (uint64_t i = 0; i < path_bytes; ++i) directory.Put(path[i]);
    name.Add(directory.Get()).Add("/").Add(file);
    if (ReadFile(name.Get(), value, sizeof(value)) > 0 && value[0] >= '0' && value[0] <= '9') {
      uint64_t limit = ParseDigits(value);
      if (limit != 0 && limit < (uint64_t{1} << 50) && (g_cgroup.limit == 0 || limit < g_cgroup.limit)) {
        g_cgroup.limit = limit;
        g_cgroup.usage_file = usage_file;
        sys::CopyText(g_cgroup.directory, sizeof(g_cgroup.directory), directory.Get());
      }
    }
    if (path_bytes <= 1) return;
    do --path_bytes;
    while (path_bytes > 0 && path[path_bytes] != '/');
  }
}

}  // namespace

void IdentifyProcess(protocol::ProcessHeader* header) {
  header->pid = static_cast<uint32_t>(sys::GetPid());
  header->parent_pid = static_cast<uint32_t>(sys::Call(SYS_getppid));
  sys::Call(SYS_prctl, 16 /* PR_GET_NAME */, sys::Word(header->name));
  char stat[1024];
  if (ReadFile("/proc/self/stat", stat, sizeof(stat)) > 0) {
    header->start_ticks = StatField(stat, 22);
    // The process's name is its first thread's; another one may be running here, where the library came into it.
    CopyCommand(stat, header->name, sizeof(header->name));
  }
  long bytes = sys::Call(SYS_readlinkat, AT_FDCWD, sys::Word("/proc/self/exe"), sys::Word(header->executable), sizeof(header->executable) - 1);
  header->executable[sys::Failed(bytes) ? 0 : bytes] = 0;
  header->command_bytes = ReadFile("/proc/self/cmdline", header->command, sizeof(header->command));
}

const char* const* ProcessEnvironment() {
  if (&environ != nullptr && environ != nullptr) return environ;
  constexpr uint32_t kText = 64 * 1024, kPointers = 1024;
  auto* memory = static_cast<char*>(sys::MapPrivate(kText + kPointers * sizeof(char*)));
  if (memory == nullptr) return nullptr;
  uint32_t bytes = ReadFile("/proc/self/environ", memory, kText);
  auto** pointers = reinterpret_cast<const char**>(memory + kText);
  uint32_t count = 0;
  for (uint32_t at = 0; at < bytes && count + 1 < kPointers;) {
    pointers[count++] = memory + at;
    at += static_cast<uint32_t>(sys::Length(memory + at)) + 1;
  }
  return pointers;
}

const char* LibraryPath() {
  Dl_info info{};
  if (dladdr(reinterpret_cast<void*>(&LibraryPath), &info) == 0 || info.dli_fname == nullptr) return "";
  return info.dli_fname;
}

bool IsLeakhuntItself() { return &leakhunt_own_program != nullptr; }

bool ReapsChildren() {
  int subreaper = 0;
  sys::Call(SYS_prctl, 37 /* PR_GET_CHILD_SUBREAPER */, sys::Word(&subreaper));
  return subreaper != 0 || sys::GetPid() == 1;
}

uint64_t CgroupLimitBytes() {
  char lines[4096];
  g_cgroup.limit = 0;
  if (ReadFile("/proc/self/cgroup", lines, sizeof(lines)) == 0) return 0;
  for (char* line = lines; *line != 0;) {
    char* end = line;
    while (*end != 0 && *end != '\n') ++end;
    char* controllers = line;
    while (controllers < end && *controllers != ':') ++controllers;
    char* path = controllers + 1;
    while (path < end && *path != ':') ++path;
    ++path;
    if (path < end) {
      uint64_t bytes = static_cast<uint64_t>(end - path);
      if (controllers[1] == ':') NoteTightest("/sys/fs/cgroup", path, bytes, "memory.max", "memory.current");
      if (sys::StartsWith(controllers, ":memory:")) {
        NoteTightest("/sys/fs/cgroup/memory", path, bytes, "memory.limit_in_bytes", "memory.usage_in_bytes");
      }
    }
    line = *end == 0 ? end : end + 1;
  }
  return g_cgroup.limit;
}

bool CgroupHasRoom(uint64_t bytes) {
  if (g_cgroup.limit == 0) return true;
  sys::Text<600> usage_path, stat_path;
  char text[4096];
  usage_path.Add(g_cgroup.directory).Add("/").Add(g_cgroup.usage_file);
  if (ReadFile(usage_path.Get(), text, 64) == 0) return true;
  uint64_t used = ParseDigits(text);
  stat_path.Add(g_cgroup.directory).Add("/memory.stat");
  ReadFile(stat_path.Get(), text, sizeof(text));
  uint64_t droppable = 0;
  for (const char* line = text; *line != 0;) {
    // v1 has the own figure and the hierarchy's; the latter, where it stands, is the one that counts.
    if (sys::StartsWith(line, "inactive_file ")) droppable = ParseDigits(line + 14);
    if (sys::StartsWith(line, "total_inactive_file ")) droppable = ParseDigits(line + 20);
    while (*line != 0 && *line != '\n') ++line;
    if (*line != 0) ++line;
  }
  used = used > droppable ? used - droppable : 0;
  uint64_t reserve = g_cgroup.limit / 100 > (4u << 20) ? g_cgroup.limit / 100 : 4u << 20;
  return used + bytes + reserve <= g_cgroup.limit;
}

}  // namespace leakhunt::core
