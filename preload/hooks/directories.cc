// Directory streams and file tree walks that keep a descriptor. scandir, nftw, ftw and glob close theirs themselves.
#include <dirent.h>
#include <fts.h>

#include "preload/hooks/closing.h"
#include "preload/hooks/handle_hook.h"

using namespace leakhunt;
using hooks::Caller;
using hooks::CallReal;
using hooks::HandleType;

namespace {

LEAKHUNT_REAL hooks::Real<DIR*(const char*)> real_opendir("opendir");
LEAKHUNT_REAL hooks::Real<DIR*(int)> real_fdopendir("fdopendir");
LEAKHUNT_REAL hooks::Real<int(DIR*)> real_closedir("closedir");
using Compare = int (*)(const FTSENT**, const FTSENT**);
using Compare64 = int (*)(const FTSENT64**, const FTSENT64**);
LEAKHUNT_REAL hooks::Real<FTS*(char* const*, int, Compare)> real_fts_open("fts_open");
LEAKHUNT_REAL hooks::Real<FTS64*(char* const*, int, Compare64)> real_fts64_open("fts64_open");
LEAKHUNT_REAL hooks::Real<int(FTS*)> real_fts_close("fts_close");
LEAKHUNT_REAL hooks::Real<int(FTS64*)> real_fts64_close("fts64_close");

int DescriptorOf(DIR* directory) {
  int saved = errno;
  int fd = dirfd(directory);
  errno = saved;
  return fd;
}

// The descriptor of the working directory, which a walk that changes it keeps to come back. -1: none.
template <typename Walk>
int WalkDescriptor(const Walk* walk) { return (walk->fts_options & FTS_NOCHDIR) != 0 ? -1 : walk->fts_rfd; }

template <typename Walk>
Walk* OpenedWalk(const Caller& caller, Walk* walk) {
  if (walk != nullptr) hooks::Opened(caller, WalkDescriptor(walk), HandleType::kDirectory, ".", protocol::kHandleDirectoryStream);
  return walk;
}

template <typename Walk>
int CloseWalk(hooks::Real<int(Walk*)>& real, Walk* walk) {
  if (walk != nullptr && WalkDescriptor(walk) >= 0) core::HandleClosing(WalkDescriptor(walk));
  return CallReal(real, walk);
}

}  // namespace

LEAKHUNT_HOOK DIR* opendir(const char* path) {
  DIR* directory = CallReal(real_opendir, path);
  if (directory != nullptr) {
    hooks::NoteDirectory(path);
    hooks::Opened(Caller(), DescriptorOf(directory), HandleType::kDirectory, path, protocol::kHandleDirectoryStream);
  }
  return directory;
}

LEAKHUNT_HOOK DIR* fdopendir(int fd) {
  DIR* directory = CallReal(real_fdopendir, fd);
  if (directory != nullptr) core::HandleNoted(fd, protocol::kHandleDirectoryStream, nullptr);
  return directory;
}

LEAKHUNT_HOOK int closedir(DIR* directory) {
  asm("" : "+r"(directory));  // the header promises that it is not null; glibc takes null and says EINVAL
  if (directory != nullptr) core::HandleClosing(DescriptorOf(directory));
  return CallReal(real_closedir, directory);
}

LEAKHUNT_HOOK FTS* fts_open(char* const* paths, int options, Compare compare) {
  return OpenedWalk(Caller(), CallReal(real_fts_open, paths, options, compare));
}
LEAKHUNT_HOOK FTS64* fts64_open(char* const* paths, int options, Compare64 compare) {
  return OpenedWalk(Caller(), CallReal(real_fts64_open, paths, options, compare));
}
LEAKHUNT_HOOK int fts_close(FTS* walk) { return CloseWalk(real_fts_close, walk); }
LEAKHUNT_HOOK int fts64_close(FTS64* walk) { return CloseWalk(real_fts64_close, walk); }
