// Categories that the program puts on its allocations (leakhunt.h): names interned in the shared pages, a small stack
// of them a thread. Slow path only; a scope costs an allocation nothing.
#pragma once

namespace leakhunt::core {

// The calling thread's allocations count under `name` until the matching end. Refused names (bound reached) count
// under no scope.
void ScopeBegin(const char* name);
void ScopeEnd();

void ForgetScopes();

}  // namespace leakhunt::core
