// What has to be known of a process before a library can be loaded into it.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <filesystem>

#include "collector/base/result.h"

namespace leakhunt::attach {

// Addresses in the process's memory.
struct TargetFunctions {
  uint64_t dlopen = 0, dlsym = 0;
  uint64_t dlerror = 0;         // 0: this C library does not let it be called
  uint64_t errno_location = 0;
  uint64_t syscall_instruction = 0;
  uint64_t dlopen_flags = 0;
};

// Whether the process may be attached to at all; the error is one line that says what stands in the way and what to do:
// static, of another machine, musl, traced by somebody, stopped, under a seccomp filter, library not in its file system.
Status CheckTarget(pid_t pid, const std::filesystem::path& library);

// Finds the C library among its mappings and the functions by its symbols. Also for glibc before 2.34, where dlopen is in
// a library of its own that need not be there.
Result<TargetFunctions> FindFunctions(pid_t pid);

}  // namespace leakhunt::attach
