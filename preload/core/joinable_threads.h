// Threads nobody has joined or detached: their stacks stay when they end. Recorded as blocks of the size of the stack.
//
// Keyed by pthread_t, which libc uses again as soon as a thread is joined, or has been detached and ended; so a record
// is named by an id of its own. A new thread may detach itself, or be joined by a third, before its creator is back
// from pthread_create: such early ends are remembered while a creation is going on. A detached thread cleans up after
// itself; its record goes when it is detached. Not for signal handlers, like the calls themselves.
#pragma once

#include <cstdint>

namespace leakhunt::core {

// Before pthread_create. False: threads are not recorded, and nothing more needs to be called.
bool ThreadCreationBegins();
// After it: `thread` is the pthread_t of the new thread; 0 when it failed. `detached`: created so.
void ThreadCreationEnds(uint64_t thread, uint64_t stack_bytes, bool detached);

// Which record stands for `thread`; 0 for none. To be asked before a join, which frees the pthread_t for others.
uint64_t ThreadRecordOf(uint64_t thread);
// After a join succeeded, or before a detach: the record of that id ends, if it is still there. 0: whichever is there
// now, which is the thread's own, made since; or its creator is not back, and will make none.
void ThreadGone(uint64_t thread, uint64_t record);

void ThreadsAfterFork();

// All records end: what became of their threads is not known.
void ForgetThreads();

}  // namespace leakhunt::core
