// What the hooks that close descriptors have in common: leakhunt's own two stay, and the program is told what it would
// be told without leakhunt, that nothing is open under that number.
#pragma once

#include "preload/core/handles.h"
#include "preload/transport/connection.h"

namespace leakhunt::hooks {

// True, with errno EBADF, when `fd` is leakhunt's and must not be closed or looked at.
bool KeepsOwn(int fd);

// True when `fd` is leakhunt's, which stays, with what the program is told in `*answer`: that nothing is open there; or, once it
// has seen that number in a list of its descriptors, that it is closed now.
bool KeepsFromClosing(int fd, int* answer);
// The program opened directory `path`, which may be such a list.
void NoteDirectory(const char* path);

// True for a close_range that only sets flags, fails, or runs in a vfork child.
bool ClosesNothing(unsigned first, unsigned last, int flags);

// A close_range that gives the thread a table of its own before (CLOSE_RANGE_UNSHARE): that is done now.
void UnsharesFirst(int flags);

// Closes [first, last] piece by piece around leakhunt's own descriptors.
template <typename CloseRange>
int AroundOurs(unsigned first, unsigned last, CloseRange close_range) {
  int ours[2];
  transport::OwnDescriptors(&ours[0], &ours[1]);
  unsigned from = first;
  int result = 0;
  for (int own : ours) {
    unsigned number = static_cast<unsigned>(own);
    if (own < 0 || number < from || number > last) continue;
    if (!transport::IsOwnDescriptor(own)) continue;
    if (number > from) result = close_range(from, number - 1);
    if (result != 0 || number == last) return result;
    from = number + 1;
  }
  return close_range(from, last);
}

// close_range with `close_range(from, to)` as the real call: libc's, or syscall(2) where the program called that (a library
// may have made its close_range of it).
template <typename CloseRange>
int CloseRangeBy(unsigned first, unsigned last, int flags, CloseRange close_range) {
  UnsharesFirst(flags);
  if (ClosesNothing(first, last, flags)) return close_range(first, last);
  core::HandlesClosing(first, last);
  return AroundOurs(first, last, close_range);
}

}  // namespace leakhunt::hooks
