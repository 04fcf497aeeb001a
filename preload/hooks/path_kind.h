// What an opening by path makes, as far as the arguments tell. The collector refines it by /proc while the process lives; of a
// process that dies before, this is what the report says.
#pragma once

#include <fcntl.h>

#include "preload/protocol/layout.h"
#include "preload/sys/text.h"

namespace leakhunt::hooks {

[[gnu::noinline]] inline protocol::HandleType TypeOfDevice(const char* path) {
  using protocol::HandleType;
  if (!sys::StartsWith(path, "/dev/")) return HandleType::kFile;
  const char* device = path + 5;
  if (sys::StartsWith(device, "pts/") || sys::StartsWith(device, "ptmx")) return HandleType::kPty;
  return sys::StartsWith(device, "shm/") ? HandleType::kFile : HandleType::kDevice;
}

// `path` may be null; it was opened, so it can be read.
inline protocol::HandleType TypeOfPath(const char* path, int flags) {
  using protocol::HandleType;
  // O_TMPFILE contains O_DIRECTORY's bit.
  if ((flags & O_DIRECTORY) != 0 && (flags & O_TMPFILE) != O_TMPFILE) return HandleType::kDirectory;
  return path == nullptr || path[0] != '/' || path[1] != 'd' ? HandleType::kFile : TypeOfDevice(path);
}

// The flags in openat2's structure (struct open_how begins with them), which the kernel has read.
inline int FlagsOfHow(const void* how) {
  uint64_t flags;
  __builtin_memcpy(&flags, how, sizeof(flags));
  return static_cast<int>(flags);
}

}  // namespace leakhunt::hooks
