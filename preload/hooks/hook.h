// What every hook file shares: the export mark and the lookup of the function behind ours.
//
// A hook is `extern "C"`, a few lines: note what is needed, call the real function, tell core. No logic, no state.
#pragma once

#include <errno.h>

#include <cstddef>

#include "preload/sys/hot.h"

#define LEAKHUNT_HOOK extern "C" __attribute__((visibility("default"), used))

// Before the declaration of a hooks::Real: they stand together, so that FindEvery finds them.
#define LEAKHUNT_REAL [[gnu::section("leakhunt_reals")]] constinit

namespace leakhunt::hooks {

// The function behind our hook `name`, null when there is none: the next definition after this library (RTLD_NEXT:
// other allocators and sanitizers keep working), or, where this library stands outside of the global scope, the first.
// Not for the common path; the thread is marked busy so that what dlsym allocates is not recorded.
LEAKHUNT_ASIDE void* FindNext(const char* name);

// A lazily found real function, for hooks that are not on a hot path. `Get` is null when no library defines it.
template <typename Function>
class Real {
 public:
  explicit constexpr Real(const char* name) : name_(name) {}
  Function* Get() {
    void* found = __atomic_load_n(&pointer_, __ATOMIC_RELAXED);
    if (__builtin_expect(found == nullptr, 0)) {
      found = FindNext(name_);
      __atomic_store_n(&pointer_, found, __ATOMIC_RELAXED);
    }
    return reinterpret_cast<Function*>(found);
  }

 private:
  const char* name_;
  void* pointer_ = nullptr;
};

template <size_t kBytes>
struct FunctionName {
  char text[kBytes];
  constexpr FunctionName(const char (&name)[kBytes]) {
    for (size_t i = 0; i < kBytes; ++i) text[i] = name[i];
  }
};

// The same for what servers call all the time. It is called like the function and never null: until the lookup it leads to
// one that does the lookup first, and that says ENOSYS where no library defines it. Made by LEAKHUNT_HOT_REAL.
template <FunctionName kName, typename Function>
class HotReal;
template <FunctionName kName, typename Result, typename... Arguments>
class HotReal<kName, Result(Arguments...)> {
 public:
  explicit constexpr HotReal(Result (*first)(Arguments...)) : pointer_(first) {}
  [[gnu::always_inline]] Result operator()(Arguments... arguments) const {
    return __atomic_load_n(&pointer_, __ATOMIC_RELAXED)(arguments...);
  }
  bool Get() {
    void* found = FindNext(kName.text);
    if (found != nullptr) __atomic_store_n(&pointer_, reinterpret_cast<Result (*)(Arguments...)>(found), __ATOMIC_RELAXED);
    return found != nullptr;
  }
  template <HotReal* self>
  LEAKHUNT_ASIDE static Result First(Arguments... arguments) {
    if (self->Get()) return (*self)(arguments...);
    errno = ENOSYS;
    return static_cast<Result>(-1);
  }

 private:
  Result (*pointer_)(Arguments...);
};

// LEAKHUNT_HOT_REAL(real_close, "close", int(int)). FindEvery does not find these: FindAll has to be given them.
#define LEAKHUNT_HOT_REAL(variable, name, ...)                                        \
  LEAKHUNT_HOT_FUNCTION(variable) leakhunt::hooks::HotReal<name, __VA_ARGS__> variable = \
      leakhunt::hooks::HotReal<name, __VA_ARGS__>(leakhunt::hooks::HotReal<name, __VA_ARGS__>::template First<&variable>)

// Looks them up, when the library is loaded: functions that are called in signal handlers, between fork and exec, and in
// children without thread storage of their own, where dlsym must not be called.
//
// All others are looked up before the program has a second thread: dlsym takes the loader's lock, and a child forked while
// another thread held that would wait for it for ever.
void FindEvery();
template <typename... Function>
void FindAll(Function&... function) {
  (function.Get(), ...);
}

}  // namespace leakhunt::hooks
