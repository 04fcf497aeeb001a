// Taking a process's pages without its help.
//
// Nothing runs in the process: the memfd is found by name among its descriptors and duplicated. Works on a stopped or
// hung process; needs the right to trace it.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>

#include "collector/base/result.h"
#include "collector/ingest/session_table.h"

namespace leakhunt::attach {

struct GuestPages {
  ingest::Arrival arrival;
  uint32_t flags = 0;  // protocol::ProcessFlags of its header; 0 when that cannot be read
};

// Nothing: the process keeps none, libleakhunt.so is not at work in it. Errors say what is missing and what to do: no
// such process, not permitted.
Result<std::optional<GuestPages>> TakePages(pid_t pid);

}  // namespace leakhunt::attach
