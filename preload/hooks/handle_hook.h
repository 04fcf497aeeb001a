// What the hooks of descriptor calls share: calling the real function, and telling core what came of it.
//
// These hooks are cancellation points and async-signal-safe where libc's functions are: nothing is held over the real
// call, and the real functions of the safe ones are looked up when the library is loaded (`FindAll`), not in a handler.
#pragma once

#include <errno.h>

#include <type_traits>

#include "preload/core/handles.h"
#include "preload/hooks/hook.h"

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

inline int Opened(int fd, HandleType type, const char* label = nullptr, uint8_t flags = 0) {
  if (fd >= 0) core::HandleOpened(fd, {type, flags, label});
  return fd;
}

inline int OpenedPair(int result, const int* pair, HandleType type, const char* label = nullptr) {
  if (result != 0) return result;
  Opened(pair[0], type, label);
  Opened(pair[1], type, label);
  return result;
}

template <typename... Function>
void FindAll(Function&... function) {
  (function.Get(), ...);
}

}  // namespace leakhunt::hooks
