// Streams over descriptors. libc opens and closes inside, unseen, so the outermost functions are ours. Streams without a
// descriptor (fmemopen, open_memstream, fopencookie) have nothing to track; fcloseall closes nothing.
#include <mntent.h>
#include <stdio.h>

#include "preload/hooks/handle_hook.h"

using namespace leakhunt;
using hooks::Caller;
using hooks::CallReal;
using hooks::HandleType;

namespace {

using OpenFile = FILE*(const char*, const char*);

LEAKHUNT_REAL hooks::Real<OpenFile> real_fopen("fopen");
LEAKHUNT_REAL hooks::Real<OpenFile> real_fopen64("fopen64");
LEAKHUNT_REAL hooks::Real<FILE*(const char*, const char*, FILE*)> real_freopen("freopen");
LEAKHUNT_REAL hooks::Real<FILE*(const char*, const char*, FILE*)> real_freopen64("freopen64");
LEAKHUNT_REAL hooks::Real<FILE*(int, const char*)> real_fdopen("fdopen");
LEAKHUNT_REAL hooks::Real<FILE*()> real_tmpfile("tmpfile");
LEAKHUNT_REAL hooks::Real<FILE*()> real_tmpfile64("tmpfile64");
LEAKHUNT_REAL hooks::Real<OpenFile> real_popen("popen");
LEAKHUNT_REAL hooks::Real<OpenFile> real_setmntent("setmntent");
LEAKHUNT_REAL hooks::Real<int(FILE*)> real_fclose("fclose");
LEAKHUNT_REAL hooks::Real<int(FILE*)> real_pclose("pclose");
LEAKHUNT_REAL hooks::Real<int(FILE*)> real_endmntent("endmntent");

// fileno sets errno for a stream without a descriptor; the program must not see that.
int DescriptorOf(FILE* stream) {
  int saved = errno;
  int fd = fileno(stream);
  errno = saved;
  return fd;
}

FILE* OpenedStream(const Caller& caller, FILE* stream, HandleType type, const char* label) {
  if (stream != nullptr) hooks::Opened(caller, DescriptorOf(stream), type, label, protocol::kHandleStream);
  return stream;
}

int CloseStream(hooks::Real<int(FILE*)>& real, FILE* stream) {
  if (stream != nullptr) {
    if (int fd = DescriptorOf(stream); fd >= 0) core::HandleClosing(fd);
  }
  return CallReal(real, stream);
}

// A freopen that fails has closed the old descriptor all the same.
FILE* Reopen(const Caller& caller, hooks::Real<FILE*(const char*, const char*, FILE*)>& real, const char* path,
             const char* mode, FILE* stream) {
  core::DescriptorEntry before = core::HandleTaken(DescriptorOf(stream));
  FILE* reopened = CallReal(real, path, mode, stream);
  core::HandleGone(before);
  return OpenedStream(caller, reopened, HandleType::kFile, path);
}

FILE* StreamOver(int fd, FILE* stream) {
  if (stream != nullptr) core::HandleNoted(fd, protocol::kHandleStream, nullptr);
  return stream;
}

}  // namespace

LEAKHUNT_HOOK FILE* fopen(const char* path, const char* mode) {
  return OpenedStream(Caller(), CallReal(real_fopen, path, mode), HandleType::kFile, path);
}
LEAKHUNT_HOOK FILE* fopen64(const char* path, const char* mode) {
  return OpenedStream(Caller(), CallReal(real_fopen64, path, mode), HandleType::kFile, path);
}
LEAKHUNT_HOOK FILE* _IO_fopen(const char* path, const char* mode) {
  return OpenedStream(Caller(), CallReal(real_fopen, path, mode), HandleType::kFile, path);
}
LEAKHUNT_HOOK FILE* freopen(const char* path, const char* mode, FILE* stream) {
  return Reopen(Caller(), real_freopen, path, mode, stream);
}
LEAKHUNT_HOOK FILE* freopen64(const char* path, const char* mode, FILE* stream) {
  return Reopen(Caller(), real_freopen64, path, mode, stream);
}
LEAKHUNT_HOOK FILE* fdopen(int fd, const char* mode) noexcept { return StreamOver(fd, CallReal(real_fdopen, fd, mode)); }
LEAKHUNT_HOOK FILE* _IO_fdopen(int fd, const char* mode) { return StreamOver(fd, CallReal(real_fdopen, fd, mode)); }
LEAKHUNT_HOOK FILE* tmpfile() { return OpenedStream(Caller(), CallReal(real_tmpfile), HandleType::kFile, "temporary file"); }
LEAKHUNT_HOOK FILE* tmpfile64() { return OpenedStream(Caller(), CallReal(real_tmpfile64), HandleType::kFile, "temporary file"); }
LEAKHUNT_HOOK FILE* popen(const char* command, const char* mode) {
  return OpenedStream(Caller(), CallReal(real_popen, command, mode), HandleType::kPipe, command);
}
LEAKHUNT_HOOK FILE* _IO_popen(const char* command, const char* mode) {
  return OpenedStream(Caller(), CallReal(real_popen, command, mode), HandleType::kPipe, command);
}
LEAKHUNT_HOOK FILE* setmntent(const char* path, const char* mode) noexcept {
  return OpenedStream(Caller(), CallReal(real_setmntent, path, mode), HandleType::kFile, path);
}
LEAKHUNT_HOOK FILE* __setmntent(const char* path, const char* mode) {
  return OpenedStream(Caller(), CallReal(real_setmntent, path, mode), HandleType::kFile, path);
}

LEAKHUNT_HOOK int fclose(FILE* stream) { return CloseStream(real_fclose, stream); }
LEAKHUNT_HOOK int _IO_fclose(FILE* stream) { return CloseStream(real_fclose, stream); }
LEAKHUNT_HOOK int pclose(FILE* stream) { return CloseStream(real_pclose, stream); }
LEAKHUNT_HOOK int endmntent(FILE* stream) noexcept { return CloseStream(real_endmntent, stream); }
LEAKHUNT_HOOK int __endmntent(FILE* stream) { return CloseStream(real_endmntent, stream); }
