// Files by name: every form of open, the mount interface's, temporary files.
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "preload/core/usual_handles.h"
#include "preload/hooks/closing.h"
#include "preload/hooks/handle_hook.h"
#include "preload/sys/hot.h"
#include "preload/sys/text.h"

using namespace leakhunt;
using hooks::Caller;
using hooks::CallReal;
using hooks::HandleType;
using hooks::Opened;

namespace {

LEAKHUNT_HOT_REAL hooks::Real<int(const char*, int, mode_t)> real_open("open");
LEAKHUNT_HOT_REAL hooks::Real<int(const char*, int, mode_t)> real_open64("open64");
LEAKHUNT_HOT_REAL hooks::Real<int(int, const char*, int, mode_t)> real_openat("openat");
LEAKHUNT_HOT_REAL hooks::Real<int(int, const char*, int, mode_t)> real_openat64("openat64");
LEAKHUNT_REAL hooks::Real<int(const char*, int)> real_open_2("__open_2");
LEAKHUNT_REAL hooks::Real<int(const char*, int)> real_open64_2("__open64_2");
LEAKHUNT_REAL hooks::Real<int(int, const char*, int)> real_openat_2("__openat_2");
LEAKHUNT_REAL hooks::Real<int(int, const char*, int)> real_openat64_2("__openat64_2");
LEAKHUNT_REAL hooks::Real<int(const char*, mode_t)> real_creat("creat");
LEAKHUNT_REAL hooks::Real<int(const char*, mode_t)> real_creat64("creat64");
LEAKHUNT_REAL hooks::Real<int(int, const char*, void*, size_t)> real_openat2("openat2");
LEAKHUNT_REAL hooks::Real<long(long, long, long, long, long, long, long)> real_syscall("syscall");
LEAKHUNT_REAL hooks::Real<int(int, file_handle*, int)> real_open_by_handle_at("open_by_handle_at");
LEAKHUNT_REAL hooks::Real<int(int, const char*, unsigned)> real_open_tree("open_tree");
LEAKHUNT_REAL hooks::Real<int(const char*, unsigned)> real_fsopen("fsopen");
LEAKHUNT_REAL hooks::Real<int(int, unsigned, unsigned)> real_fsmount("fsmount");
LEAKHUNT_REAL hooks::Real<int(int, const char*, unsigned)> real_fspick("fspick");
LEAKHUNT_REAL hooks::Real<int(char*)> real_mkstemp("mkstemp");
LEAKHUNT_REAL hooks::Real<int(char*)> real_mkstemp64("mkstemp64");
LEAKHUNT_REAL hooks::Real<int(char*, int)> real_mkostemp("mkostemp");
LEAKHUNT_REAL hooks::Real<int(char*, int)> real_mkostemp64("mkostemp64");
LEAKHUNT_REAL hooks::Real<int(char*, int)> real_mkstemps("mkstemps");
LEAKHUNT_REAL hooks::Real<int(char*, int)> real_mkstemps64("mkstemps64");
LEAKHUNT_REAL hooks::Real<int(char*, int, int)> real_mkostemps("mkostemps");
LEAKHUNT_REAL hooks::Real<int(char*, int, int)> real_mkostemps64("mkostemps64");

__attribute__((constructor)) void Find() {
  hooks::FindAll(real_open, real_open64, real_openat, real_openat64, real_creat, real_creat64, real_open_2, real_open64_2,
                 real_openat_2, real_openat64_2);
}

// The argument exists only with these flags. O_TMPFILE contains O_DIRECTORY's bit.
bool TakesMode(int flags) { return (flags & O_CREAT) != 0 || (flags & O_TMPFILE) == O_TMPFILE; }

[[gnu::noinline]] HandleType TypeOfDevice(const char* path) {
  if (!sys::StartsWith(path, "/dev/")) return HandleType::kFile;
  const char* device = path + 5;
  if (sys::StartsWith(device, "pts/") || sys::StartsWith(device, "ptmx")) return HandleType::kPty;
  return sys::StartsWith(device, "shm/") ? HandleType::kFile : HandleType::kDevice;
}
HandleType TypeOf(const char* path, int flags) {
  if ((flags & O_DIRECTORY) != 0 && (flags & O_TMPFILE) != O_TMPFILE) return HandleType::kDirectory;
  return path == nullptr || path[0] != '/' || path[1] != 'd' ? HandleType::kFile : TypeOfDevice(path);
}

LEAKHUNT_HOT int OpenedPath(const Caller& caller, int fd, const char* path, int flags) {
  if (fd < 0) return fd;
  const HandleType type = TypeOf(path, flags);
  if (__builtin_expect(type == HandleType::kDirectory, 0)) hooks::NoteDirectory(path);
  const core::HandleDescription description = {path, core::kUpToNul, type, 0};
  if (__builtin_expect(!core::OpenedAsUsual(fd, description, &caller), 0)) core::HandleOpenedSomehow(fd, description, &caller);
  hooks::ServeImports();
  return fd;
}

}  // namespace

#define LEAKHUNT_MODE(last)          \
  mode_t mode = 0;                   \
  if (TakesMode(last)) {             \
    va_list arguments;               \
    va_start(arguments, last);       \
    mode = va_arg(arguments, mode_t); \
    va_end(arguments);               \
  }

LEAKHUNT_HOOK LEAKHUNT_HOT int open(const char* path, int flags, ...) {
  LEAKHUNT_MODE(flags)
  return OpenedPath(Caller(), CallReal(real_open, path, flags, mode), path, flags);
}
LEAKHUNT_HOOK LEAKHUNT_HOT int open64(const char* path, int flags, ...) {
  LEAKHUNT_MODE(flags)
  return OpenedPath(Caller(), CallReal(real_open64, path, flags, mode), path, flags);
}
LEAKHUNT_HOOK int __open(const char* path, int flags, ...) {
  LEAKHUNT_MODE(flags)
  return OpenedPath(Caller(), CallReal(real_open, path, flags, mode), path, flags);
}
LEAKHUNT_HOOK int __open64(const char* path, int flags, ...) {
  LEAKHUNT_MODE(flags)
  return OpenedPath(Caller(), CallReal(real_open64, path, flags, mode), path, flags);
}
LEAKHUNT_HOOK LEAKHUNT_HOT int openat(int directory, const char* path, int flags, ...) {
  LEAKHUNT_MODE(flags)
  return OpenedPath(Caller(), CallReal(real_openat, directory, path, flags, mode), path, flags);
}
LEAKHUNT_HOOK LEAKHUNT_HOT int openat64(int directory, const char* path, int flags, ...) {
  LEAKHUNT_MODE(flags)
  return OpenedPath(Caller(), CallReal(real_openat64, directory, path, flags, mode), path, flags);
}

// What fortified programs call. They abort when a mode is missing, so the real ones are called.
LEAKHUNT_HOOK int __open_2(const char* path, int flags) {
  return OpenedPath(Caller(), CallReal(real_open_2, path, flags), path, flags);
}
LEAKHUNT_HOOK int __open64_2(const char* path, int flags) {
  return OpenedPath(Caller(), CallReal(real_open64_2, path, flags), path, flags);
}
LEAKHUNT_HOOK int __openat_2(int directory, const char* path, int flags) {
  return OpenedPath(Caller(), CallReal(real_openat_2, directory, path, flags), path, flags);
}
LEAKHUNT_HOOK int __openat64_2(int directory, const char* path, int flags) {
  return OpenedPath(Caller(), CallReal(real_openat64_2, directory, path, flags), path, flags);
}

LEAKHUNT_HOOK int creat(const char* path, mode_t mode) {
  return OpenedPath(Caller(), CallReal(real_creat, path, mode), path, O_CREAT);
}
LEAKHUNT_HOOK int creat64(const char* path, mode_t mode) {
  return OpenedPath(Caller(), CallReal(real_creat64, path, mode), path, O_CREAT);
}

// glibc has it since 2.43; a program that finds ours in an older one gets the system call.
LEAKHUNT_HOOK int openat2(int directory, const char* path, void* how, size_t bytes) {
  int fd = real_openat2.Get() != nullptr
               ? CallReal(real_openat2, directory, path, how, bytes)
               : static_cast<int>(CallReal(real_syscall, SYS_openat2, directory, reinterpret_cast<long>(path),
                                           reinterpret_cast<long>(how), static_cast<long>(bytes), 0, 0));
  return OpenedPath(Caller(), fd, path, 0);
}

LEAKHUNT_HOOK int open_by_handle_at(int mount, file_handle* handle, int flags) {
  return Opened(Caller(), CallReal(real_open_by_handle_at, mount, handle, flags), TypeOf(nullptr, flags));
}
LEAKHUNT_HOOK int open_tree(int directory, const char* path, unsigned flags) noexcept {
  return Opened(Caller(), CallReal(real_open_tree, directory, path, flags), HandleType::kDirectory, path);
}
LEAKHUNT_HOOK int fsopen(const char* type, unsigned flags) noexcept {
  return Opened(Caller(), CallReal(real_fsopen, type, flags), HandleType::kOther, type);
}
LEAKHUNT_HOOK int fsmount(int context, unsigned flags, unsigned attributes) noexcept {
  return Opened(Caller(), CallReal(real_fsmount, context, flags, attributes), HandleType::kDirectory);
}
LEAKHUNT_HOOK int fspick(int directory, const char* path, unsigned flags) noexcept {
  return Opened(Caller(), CallReal(real_fspick, directory, path, flags), HandleType::kOther, path);
}

// The template holds the name made, when they return.
LEAKHUNT_HOOK int mkstemp(char* path) { return Opened(Caller(), CallReal(real_mkstemp, path), HandleType::kFile, path); }
LEAKHUNT_HOOK int mkstemp64(char* path) { return Opened(Caller(), CallReal(real_mkstemp64, path), HandleType::kFile, path); }
LEAKHUNT_HOOK int mkostemp(char* path, int flags) {
  return Opened(Caller(), CallReal(real_mkostemp, path, flags), HandleType::kFile, path);
}
LEAKHUNT_HOOK int mkostemp64(char* path, int flags) {
  return Opened(Caller(), CallReal(real_mkostemp64, path, flags), HandleType::kFile, path);
}
LEAKHUNT_HOOK int mkstemps(char* path, int suffix) {
  return Opened(Caller(), CallReal(real_mkstemps, path, suffix), HandleType::kFile, path);
}
LEAKHUNT_HOOK int mkstemps64(char* path, int suffix) {
  return Opened(Caller(), CallReal(real_mkstemps64, path, suffix), HandleType::kFile, path);
}
LEAKHUNT_HOOK int mkostemps(char* path, int suffix, int flags) {
  return Opened(Caller(), CallReal(real_mkostemps, path, suffix, flags), HandleType::kFile, path);
}
LEAKHUNT_HOOK int mkostemps64(char* path, int suffix, int flags) {
  return Opened(Caller(), CallReal(real_mkostemps64, path, suffix, flags), HandleType::kFile, path);
}
