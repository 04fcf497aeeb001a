// The guest's one way to speak: a line on stderr (or LEAKHUNT_LOG), only when something is wrong, bounded in number.
#pragma once

#include <cstdint>

namespace leakhunt::sys {

// PATH, "stderr" or "off". Default stderr.
void SetLogTarget(const char* target);

// Writes "leakhunt: MESSAGE\n" in one write. At most 16 lines a process. Never blocks for long: stderr is the
// program's own, a single write of less than a pipe's atomic size. Async-signal-safe.
void Log(const char* message, const char* detail = nullptr);

}  // namespace leakhunt::sys
