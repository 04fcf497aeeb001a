// Taking a process's pages without its help.
//
// Nothing runs in the process: the memfd is found by name among its descriptors and duplicated. Works on a stopped or
// hung process; needs the right to trace it.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>

#include "collector/base/result.h"
#include "collector/ingest/session_table.h"

namespace leakhunt::attach {

struct GuestPages {
  enum class Found {
    kPages,
    kNothing,       // the process keeps none: libleakhunt.so is not at work in it
    kNotPermitted,  // `why` says what is missing and what to do
  };
  Found found = Found::kNothing;
  ingest::Arrival arrival;
  uint32_t flags = 0;  // protocol::ProcessFlags of its header; 0 when that cannot be read
  std::string why;
};

// Error: no such process.
Result<GuestPages> TakePages(pid_t pid);

}  // namespace leakhunt::attach
