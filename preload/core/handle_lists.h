// Lists of what is open, published once: at the start of an image, in a forked child, and at the end of an image.
//
// Slow, bounded, on one thread each. At start the program has no threads yet; at its end the others may go on opening
// and closing, so the list is true of a moment. A list at the end is whole or absent: a part of it would make handles
// look closed.
#pragma once

#include <cstdint>

#include "preload/sys/atomic.h"
#include "preload/sys/hot.h"

namespace leakhunt::core {

// From /proc/thread-self/fd; bounded in number and time. Entries of the descriptor table are made for them.
void ListInheritedDescriptors();
// From the copied descriptor table of the parent.
void ListParentsHandles();
// From /proc/thread-self/fd, tracked ones included. A second call replaces the first one's list.
void ListDescriptorsAtExit();
// There is a list, and what is closed from now on leaves it: no closing is a usual one then.
LEAKHUNT_HIDDEN extern constinit uint32_t g_exit_listed;
void ExitListClosing(int fd);

}  // namespace leakhunt::core
