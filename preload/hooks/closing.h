// What the hooks that close descriptors have in common: leakhunt's own two stay, and the program is told what it would
// be told without leakhunt, that nothing is open under that number.
#pragma once

namespace leakhunt::hooks {

// True, with errno EBADF, when `fd` is leakhunt's and must not be closed or looked at.
bool KeepsOwn(int fd);

// True for a close_range that only sets flags, fails, or runs in a vfork child.
bool ClosesNothing(unsigned first, unsigned last, int flags);

}  // namespace leakhunt::hooks
