// Who this process is, from the kernel: read once at start, with raw system calls.
#pragma once

#include <cstdint>

#include "preload/protocol/layout.h"

namespace leakhunt::core {

// Fills pid, parent, start time, image number, name, executable and command line. What /proc does not give stays empty.
void IdentifyProcess(protocol::ProcessHeader* header);

// The environment: `environ`, or before libc has set it a private copy of /proc/self/environ. May be null.
const char* const* ProcessEnvironment();

// Absolute path of this library; "" when unknown. Stays valid.
const char* LibraryPath();

// True in a program of leakhunt's own: the collector and its helpers never record themselves, whatever preloads the library.
bool IsLeakhuntItself();

// True for PID 1 and subreapers: a collector started by them would show up in their wait().
bool ReapsChildren();

// The tightest memory limit of the cgroups above this process (v1 and v2), bytes; 0 = none found.
uint64_t CgroupLimitBytes();

// False when `bytes` more would leave less than max(4 MiB, 1 %) of that limit: touching a page past it gets the program
// killed, not an error. File cache that the kernel can drop counts as free. True where there is no limit.
bool CgroupHasRoom(uint64_t bytes);

}  // namespace leakhunt::core
