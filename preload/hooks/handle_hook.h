// What the hooks of descriptor calls share: calling the real function, and telling core what came of it.
//
// These hooks are cancellation points and async-signal-safe where libc's functions are: nothing is held over the real
// call, and the real functions of the safe ones are looked up when the library is loaded (`FindAll`), not in a handler.
#pragma once

#include <errno.h>

#include <type_traits>

#include "preload/core/handles.h"
#include "preload/hooks/attachment.h"
#include "preload/hooks/hook.h"
#include "preload/unwind/unwinder.h"

namespace leakhunt::hooks {

using protocol::HandleType;

// The real function's result; -1 or null with ENOSYS when no library defines it.
template <typename Result, typename... Arguments>
[[gnu::always_inline]] inline Result CallReal(Real<Result(Arguments...)>& real, std::type_identity_t<Arguments>... arguments) {
  auto* function = real.Get();
  if (__builtin_expect(function != nullptr, 1)) return function(arguments...);
  errno = ENOSYS;
  if constexpr (std::is_pointer_v<Result>) return nullptr;
  else if constexpr (!std::is_void_v<Result>) return static_cast<Result>(-1);
}

// The code that called the hook this is made in, which must be the exported function itself.
struct Caller : unwind::CallerRegisters {
  [[gnu::always_inline]] Caller() { unwind::CaptureCaller(this); }
};

[[gnu::always_inline]] inline int Opened(const Caller& caller, int fd, HandleType type, const char* label, uint32_t label_bytes, uint8_t flags) {
  if (fd >= 0) core::HandleOpened(fd, {label, label_bytes, type, flags}, &caller);
  ServeImports();
  return fd;
}
inline int Opened(const Caller& caller, int fd, HandleType type, const char* label = nullptr, uint8_t flags = 0) {
  return Opened(caller, fd, type, label, core::kUpToNul, flags);
}

inline int OpenedPair(const Caller& caller, int result, const int* pair, HandleType type) {
  if (result != 0) return result;
  Opened(caller, pair[0], type);
  Opened(caller, pair[1], type);
  return result;
}

}  // namespace leakhunt::hooks
