// Files by name: every form of open, the mount interface's, temporary files.
#include <fcntl.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "preload/core/usual_handles.h"
#include "preload/hooks/closing.h"
#include "preload/hooks/handle_hook.h"
#include "preload/hooks/kernel_entry.h"
#include "preload/hooks/path_kind.h"
#include "preload/sys/hot.h"
#include "preload/sys/syscall.h"
#include "preload/sys/text.h"

using namespace leakhunt;
using hooks::Caller;
using hooks::CallReal;
using hooks::HandleType;
using hooks::Opened;

namespace {

LEAKHUNT_HOT_REAL(real_open, "open", int(const char*, int, mode_t));
LEAKHUNT_HOT_REAL(real_open64, "open64", int(const char*, int, mode_t));
LEAKHUNT_HOT_REAL(real_openat, "openat", int(int, const char*, int, mode_t));
LEAKHUNT_HOT_REAL(real_openat64, "openat64", int(int, const char*, int, mode_t));
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

LEAKHUNT_ASIDE int OpenedSomehow(const Caller& caller, int fd, const char* path, int flags) {
  const HandleType type = hooks::TypeOfPath(path, flags);
  if (type == HandleType::kDirectory) hooks::NoteDirectory(path);
  return hooks::Opened(caller, fd, type, path);
}

// A path that was opened has a character and a NUL, if it is one: the kernel may come to open without.
bool MayNameDevice(const char* path) {
  static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__);
  uint16_t begin;
  __builtin_memcpy(&begin, path, sizeof(begin));
  return begin == ('d' << 8 | '/');
}

// In the exported function itself: it is from its frame that the caller's state is read.
[[gnu::always_inline]] inline int OpenedPath(int fd, const char* path, int flags) {
  if (__builtin_expect(fd < 0, 0)) return fd;
  uint64_t* const word = core::FindNearDescriptor(fd);
  const bool of_usual_kind = word != nullptr && path != nullptr && (flags & O_DIRECTORY) == 0 && !MayNameDevice(path);
  if (__builtin_expect(of_usual_kind, 1) &&
      __builtin_expect(core::OpenedAsUsual(word, fd, {path, core::kUpToNul, HandleType::kFile, 0}, Caller()), 1)) {
    hooks::ServeImports();
    return fd;
  }
  return OpenedSomehow(Caller(), fd, path, flags);
}

// As libc does, for both widths of off_t (O_LARGEFILE is 0 where long has 64 bits).
[[gnu::always_inline]] inline int EnterOpenat(int directory, const char* path, int flags, mode_t mode) {
  constexpr int kMayHaveMode = O_CREAT | (O_TMPFILE & ~O_DIRECTORY);
  const bool has_mode = __builtin_expect((flags & kMayHaveMode) != 0, 0) && ((flags & O_CREAT) != 0 || (flags & O_TMPFILE) == O_TMPFILE);
  if (!has_mode) mode = 0;
  return hooks::AsLibcReturns(sys::CallForProgram(SYS_openat, directory, sys::Word(path), flags, mode));
}
[[gnu::always_inline]] inline int OpenBy(const auto& real, const char* path, int flags, mode_t mode) {
  return hooks::LibcOnlyEnters() ? EnterOpenat(AT_FDCWD, path, flags, mode) : real(path, flags, mode);
}
[[gnu::always_inline]] inline int OpenatBy(const auto& real, int directory, const char* path, int flags, mode_t mode) {
  return hooks::LibcOnlyEnters() ? EnterOpenat(directory, path, flags, mode) : real(directory, path, flags, mode);
}

}  // namespace

// The functions that take a mode or do not. That is passed on as it is found, in the register where the caller has put it or has
// not: variadic arguments of a word's size are passed as others are (System V psABI x86-64 3.5.7, AAPCS64 6.8), and the real
// function looks at it with O_CREAT and O_TMPFILE alone. The headers' declarations say `...`, so these have names of their own.
extern "C" {
int LeakhuntOpen(const char* path, int flags, mode_t mode) __asm__("open");
int LeakhuntOpen64(const char* path, int flags, mode_t mode) __asm__("open64");
int LeakhuntInternalOpen(const char* path, int flags, mode_t mode) __asm__("__open");
int LeakhuntInternalOpen64(const char* path, int flags, mode_t mode) __asm__("__open64");
int LeakhuntOpenat(int directory, const char* path, int flags, mode_t mode) __asm__("openat");
int LeakhuntOpenat64(int directory, const char* path, int flags, mode_t mode) __asm__("openat64");
}

LEAKHUNT_HOOK LEAKHUNT_HOT int LeakhuntOpen64(const char* path, int flags, mode_t mode) {
  return OpenedPath(OpenBy(real_open64, path, flags, mode), path, flags);
}
LEAKHUNT_HOOK LEAKHUNT_HOT int LeakhuntOpen(const char* path, int flags, mode_t mode) {
  return OpenedPath(OpenBy(real_open, path, flags, mode), path, flags);
}
LEAKHUNT_HOOK int LeakhuntInternalOpen(const char* path, int flags, mode_t mode) {
  return OpenedPath(OpenBy(real_open, path, flags, mode), path, flags);
}
LEAKHUNT_HOOK int LeakhuntInternalOpen64(const char* path, int flags, mode_t mode) {
  return OpenedPath(OpenBy(real_open64, path, flags, mode), path, flags);
}
LEAKHUNT_HOOK LEAKHUNT_HOT int LeakhuntOpenat(int directory, const char* path, int flags, mode_t mode) {
  return OpenedPath(OpenatBy(real_openat, directory, path, flags, mode), path, flags);
}
LEAKHUNT_HOOK LEAKHUNT_HOT int LeakhuntOpenat64(int directory, const char* path, int flags, mode_t mode) {
  return OpenedPath(OpenatBy(real_openat64, directory, path, flags, mode), path, flags);
}

// What fortified programs call. They abort when a mode is missing, so the real ones are called.
LEAKHUNT_HOOK int __open_2(const char* path, int flags) {
  return OpenedPath(CallReal(real_open_2, path, flags), path, flags);
}
LEAKHUNT_HOOK int __open64_2(const char* path, int flags) {
  return OpenedPath(CallReal(real_open64_2, path, flags), path, flags);
}
LEAKHUNT_HOOK int __openat_2(int directory, const char* path, int flags) {
  return OpenedPath(CallReal(real_openat_2, directory, path, flags), path, flags);
}
LEAKHUNT_HOOK int __openat64_2(int directory, const char* path, int flags) {
  return OpenedPath(CallReal(real_openat64_2, directory, path, flags), path, flags);
}

LEAKHUNT_HOOK int creat(const char* path, mode_t mode) {
  return OpenedPath(CallReal(real_creat, path, mode), path, O_CREAT);
}
LEAKHUNT_HOOK int creat64(const char* path, mode_t mode) {
  return OpenedPath(CallReal(real_creat64, path, mode), path, O_CREAT);
}

// glibc has it since 2.43; a program that finds ours in an older one gets the system call.
LEAKHUNT_HOOK int openat2(int directory, const char* path, void* how, size_t bytes) {
  int fd = real_openat2.Get() != nullptr
               ? CallReal(real_openat2, directory, path, how, bytes)
               : static_cast<int>(CallReal(real_syscall, SYS_openat2, directory, reinterpret_cast<long>(path),
                                           reinterpret_cast<long>(how), static_cast<long>(bytes), 0, 0));
  return OpenedPath(fd, path, fd < 0 ? 0 : hooks::FlagsOfHow(how));
}

LEAKHUNT_HOOK int open_by_handle_at(int mount, file_handle* handle, int flags) {
  return Opened(Caller(), CallReal(real_open_by_handle_at, mount, handle, flags), hooks::TypeOfPath(nullptr, flags));
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
