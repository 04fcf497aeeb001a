// What every hook file shares: the export mark and the lookup of the function behind ours.
//
// A hook is `extern "C"`, a few lines: note what is needed, call the real function, tell core. No logic, no state.
#pragma once

#include "preload/sys/hot.h"

#define LEAKHUNT_HOOK extern "C" __attribute__((visibility("default"), used))

// Before the declaration of a hooks::Real: they stand together, so that FindEvery finds them.
#define LEAKHUNT_REAL [[gnu::section("leakhunt_reals")]] constinit
// The same for what servers call all the time. FindEvery does not find these: FindAll has to be given them.
#define LEAKHUNT_HOT_REAL LEAKHUNT_HOT_FUNCTION

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
