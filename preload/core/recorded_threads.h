// Threads that hold a stack, recorded as blocks of the stack's size: joinable ones until they are joined, for their stacks stay
// when they end, and detached ones until they end.
//
// Keyed by pthread_t, which libc uses again as soon as a thread is joined, or has been detached and ended; so a record
// is named by an id of its own. A new thread may detach itself, or be joined by a third, before its creator is back
// from pthread_create: such early ends and detachments are remembered while a creation is going on. Not for signal
// handlers, like the calls themselves.
//
// A detached thread ends without a call. Its record carries its tid: the collector counts it while the kernel lists the
// thread, and each creation looks whether two of those recorded have ended.
#pragma once

#include <cstdint>

namespace leakhunt::core {

// Before pthread_create. False: threads are not recorded, and nothing more needs to be called.
bool ThreadCreationBegins();
// After it: `thread` is the pthread_t of the new thread; 0 when it failed. `detached`: created so.
void ThreadCreationEnds(uint64_t thread, uint64_t stack_bytes, bool detached);

// Which record stands for `thread`; 0 for none. To be asked before a join, which frees the pthread_t for others.
uint64_t ThreadRecordOf(uint64_t thread);
// After a join succeeded: the record of that id ends, if it is still there. 0: the thread's creator is not back, and will make none.
void ThreadJoined(uint64_t thread, uint64_t record);

// Before a detach. A record whose thread's tid cannot be known ends.
void ThreadDetaches(uint64_t thread);

// When the image ends: the records of detached threads that have ended do so. A system call for each detached thread.
void EndThreadsThatEnded();

void ThreadsAfterFork();

// All records end: what became of their threads is not known.
void ForgetThreads();

}  // namespace leakhunt::core
