#include "viewer/frame_kind.h"

#include <algorithm>
#include <array>

namespace leakhunt::viewer {
namespace {

template <size_t kCount>
bool StartsWithOne(std::string_view text, const std::array<std::string_view, kCount>& starts) {
  return std::any_of(starts.begin(), starts.end(), [text](std::string_view s) { return text.starts_with(s); });
}

std::string_view Base(std::string_view path) { return path.substr(path.rfind('/') + 1); }

constexpr std::array<std::string_view, 6> kAllocators = {"libleakhunt.so", "libjemalloc.so",  "libtcmalloc",
                                                         "libmimalloc.so", "libsnmallocshim", "libhoard.so"};
constexpr std::array<std::string_view, 17> kRuntimes = {
    "libc.so",     "libc-",       "libstdc++.so", "libc++.so",    "libc++abi.so", "libm.so",
    "libgcc_s.so", "ld-linux",    "ld-musl",      "libpthread",   "libdl.so",     "librt.so",
    "linux-vdso",  "[vdso]",      "ld-2.",        "libleakhunt",  "libasan"};
constexpr std::array<std::string_view, 4> kNew = {"operator new", "_Znw", "_Zna", "operator delete"};
constexpr std::array<std::string_view, 6> kStandard = {"std::",       "__gnu_cxx::", "void std::",
                                                       "void* std::", "operator new", "__gnu_debug::"};
// libc's functions on the way from the caller to the hook or inside the allocator.
constexpr std::array<std::string_view, 42> kLibcAllocation = {
    "malloc",         "calloc",        "realloc",          "reallocarray",  "posix_memalign", "aligned_alloc",
    "memalign",       "valloc",        "pvalloc",          "__libc_malloc", "__libc_calloc",  "__libc_realloc",
    "__libc_memalign", "_int_malloc",  "_int_realloc",     "_int_memalign", "sysmalloc",      "tcache_init",
    "__malloc",       "__calloc",      "__realloc",        "mmap",          "mmap64",         "__mmap",
    "__mmap64",       "mremap",        "__mremap",         "free",          "__libc_free",    "cfree",
    "ptmalloc_init",  "malloc_hook_ini", "realloc_hook_ini", "__libc_valloc", "__libc_pvalloc", "_mid_memalign",
    "free_sized",     "free_aligned_sized", "__posix_memalign", "__memalign", "aligned_alloc_internal", "_int_free"};

bool IsLibc(std::string_view base) { return base.starts_with("libc.so") || base.starts_with("libc-") || base.starts_with("ld-musl"); }

}  // namespace

bool IsAllocatorFrame(std::string_view module, std::string_view function) {
  std::string_view base = Base(module);
  if (StartsWithOne(base, kAllocators) || StartsWithOne(function, kNew)) return true;
  if (!IsLibc(base)) return false;
  return std::find(kLibcAllocation.begin(), kLibcAllocation.end(), function) != kLibcAllocation.end();
}

bool IsRuntimeFrame(std::string_view module, std::string_view function, std::string_view file) {
  return StartsWithOne(Base(module), kRuntimes) || StartsWithOne(function, kStandard) ||
         file.find("/include/c++/") != std::string_view::npos || file.find("/include/bits/") != std::string_view::npos;
}

}  // namespace leakhunt::viewer
