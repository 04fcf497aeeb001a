#include "preload/sys/spinlock.h"

namespace leakhunt::sys {

thread_local constinit HeldLocks t_held_locks = {};

}  // namespace leakhunt::sys
