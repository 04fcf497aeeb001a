// Loading libleakhunt.so into a process that was not started with it, and taking it off again.
//
// The process is touched through one of its threads, stopped by ptrace where it is in neither an allocator nor the loader,
// for some milliseconds; the others run on. The work is done in a child of the collector's, so that nothing that may go
// wrong there is the collector's end; should it die at any moment, the thread finds its way back alone. The process runs
// on whatever happens. x86-64 alone; elsewhere an error says so.
#pragma once

#include <sys/types.h>

#include "collector/base/result.h"
#include "collector/options.h"

namespace leakhunt::attach {

// The library records when this has succeeded. Seconds at most (it waits for a thread in the right place); errors are one
// line for people: what stood in the way and what to do.
Status Inject(pid_t pid, const Options& options);

// The process's calls go where they went before; the library stays loaded and does nothing.
Status TakeOff(pid_t pid);

}  // namespace leakhunt::attach
