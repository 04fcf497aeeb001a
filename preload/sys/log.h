// The guest's one way to speak: a line on stderr (or LEAKHUNT_LOG), only when something is wrong, bounded in number.
#pragma once

#include <cstdint>

namespace leakhunt::sys {

// PATH, "stderr" or "off". Default stderr. A relative PATH is completed by the working directory of now.
void SetLogTarget(const char* target);

// Call at the program's start. Where descriptor 2 is closed then, no line goes to stderr ever: a file that the program
// opens later may get the number.
void LookAtStandardError();

// Writes "leakhunt: MESSAGE\n" in one write. At most 16 lines a process. Never blocks for long: stderr is the
// program's own, a single write of less than a pipe's atomic size. Async-signal-safe.
void Log(const char* message, const char* detail = nullptr);

}  // namespace leakhunt::sys
