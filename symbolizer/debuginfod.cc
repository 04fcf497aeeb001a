// Asking debuginfod; see debuginfod.h. The library is loaded when it is needed: it brings libcurl and its threads, and
// most reports never ask.
#include "symbolizer/debuginfod.h"

#include <dlfcn.h>
#include <unistd.h>

#include <cstdlib>

namespace leakhunt::symbolizer {
namespace {

struct Library {
  void* (*begin)() = nullptr;
  void (*end)(void* client) = nullptr;
  int (*find_debug_info)(void* client, const unsigned char* build_id, int build_id_size, char** path) = nullptr;

  bool Complete() const { return begin != nullptr && end != nullptr && find_debug_info != nullptr; }
};

Library Load() {
  Library library;
  void* handle = dlopen("libdebuginfod.so.1", RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr) return library;
  library.begin = reinterpret_cast<decltype(library.begin)>(dlsym(handle, "debuginfod_begin"));
  library.end = reinterpret_cast<decltype(library.end)>(dlsym(handle, "debuginfod_end"));
  library.find_debug_info =
      reinterpret_cast<decltype(library.find_debug_info)>(dlsym(handle, "debuginfod_find_debuginfo"));
  return library;
}

}  // namespace

std::string DownloadDebugInfo(const std::string& build_id) {
  static const Library library = Load();
  if (!library.Complete() || std::getenv("DEBUGINFOD_URLS") == nullptr) return {};
  void* client = library.begin();
  if (client == nullptr) return {};
  char* path = nullptr;
  // Size 0: the build-id is hex text.
  const int fd = library.find_debug_info(client, reinterpret_cast<const unsigned char*>(build_id.c_str()), 0, &path);
  library.end(client);
  if (fd < 0) return {};
  close(fd);
  std::string found = path == nullptr ? "" : path;
  std::free(path);
  return found;
}

}  // namespace leakhunt::symbolizer
