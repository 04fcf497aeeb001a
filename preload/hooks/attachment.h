// Keeps redirected imports complete: objects that a redirected program loads later, and slots a lazy binding overwrote.
#pragma once

#include <cstdint>

#include "preload/sys/atomic.h"
#include "preload/sys/hot.h"

namespace leakhunt::hooks {

LEAKHUNT_HIDDEN extern uint32_t g_imports_due;  // 1: objects may be there whose imports were not looked at

LEAKHUNT_ASIDE void ServeImportsSlow();

// On slow visits, outside of leakhunt. Nothing to do in a program that was started with the library.
[[gnu::always_inline]] inline void ServeImports() {
  if (__builtin_expect(sys::LoadRelaxed(&g_imports_due) != 0, 0)) ServeImportsSlow();
}

// In a program that defines malloc itself: leads to the hooks what other objects call of it. Called by the constructor.
void ServeOwnMalloc();

}  // namespace leakhunt::hooks
