// Taking a preloaded process's pages without its help.
//
// Nothing runs in the process: its memfd is found by name among its descriptors and duplicated. Works on a stopped or
// hung process; needs the right to trace it.
#pragma once

#include <sys/types.h>

#include "collector/base/result.h"
#include "collector/ingest/session_table.h"

namespace leakhunt::attach {

// Errors say what is missing and what to do: no such process, not preloaded, not permitted.
Result<ingest::Arrival> TakePages(pid_t pid);

}  // namespace leakhunt::attach
