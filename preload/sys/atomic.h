// Atomic access to plain words, private or in shared pages. The names say the order; the partner is named at the use.
#pragma once

#include <cstdint>

#include "preload/sys/hot.h"

namespace leakhunt::sys {

template <typename T>
inline T LoadRelaxed(const T* p) { return __atomic_load_n(p, __ATOMIC_RELAXED); }
template <typename T>
inline T LoadAcquire(const T* p) { return __atomic_load_n(p, __ATOMIC_ACQUIRE); }
template <typename T>
inline void StoreRelaxed(T* p, T value) { __atomic_store_n(p, value, __ATOMIC_RELAXED); }
template <typename T>
inline void StoreRelease(T* p, T value) { __atomic_store_n(p, value, __ATOMIC_RELEASE); }
template <typename T>
inline T AddRelaxed(T* p, T value) { return __atomic_fetch_add(p, value, __ATOMIC_RELAXED); }
template <typename T>
inline bool CompareExchange(T* p, T expected, T desired) {
  return __atomic_compare_exchange_n(p, &expected, desired, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
}

// A counter with one writer: no locked instruction.
template <typename T>
inline void AddOwned(T* p, T value) { StoreRelaxed(p, static_cast<T>(LoadRelaxed(p) + value)); }

// libc's own word for "this process surely has one thread" (__libc_single_threaded, glibc 2.32 and later); a constant 0
// until it is set, and where there is none.
LEAKHUNT_HIDDEN extern constinit const char* g_single_threaded;
inline bool HasOneThread() { return LoadRelaxed(g_single_threaded) != 0; }

// CompareExchange on memory that only this process writes. With one thread it need not lock the bus: a signal handler
// comes before the instruction or after it, and a locked one waits until every store before it has reached its cache
// line, which is most of what it costs. Only the thread itself could start another, so the word cannot change under it.
template <typename T>
[[gnu::always_inline]] inline bool CompareExchangePrivate(T* p, T expected, T desired, bool one_thread = HasOneThread()) {
#if defined(__x86_64__)
  if (__builtin_expect(one_thread, 1)) {
    bool exchanged;
    asm volatile("cmpxchg %3, %1" : "=@ccz"(exchanged), "+m"(*p), "+a"(expected) : "r"(desired) : "memory");
    return exchanged;
  }
#endif
  return CompareExchange(p, expected, desired);
}

// On memory that only this thread writes: a signal handler of the thread comes before it or after it.
template <typename T>
[[gnu::always_inline]] inline bool CompareExchangeOwned(T* p, T expected, T desired) {
#if defined(__x86_64__)
  bool exchanged;
  asm volatile("cmpxchg %3, %1" : "=@ccz"(exchanged), "+m"(*p), "+a"(expected) : "r"(desired) : "memory");
  return exchanged;
#else
  return CompareExchange(p, expected, desired);
#endif
}

// As CompareExchangePrivate, an exchange and an addition, which return what was there. Other processes may read the memory.
template <typename T>
[[gnu::always_inline]] inline T ExchangePrivate(T* p, T desired, bool one_thread = HasOneThread()) {
  if (!one_thread) return __atomic_exchange_n(p, desired, __ATOMIC_ACQ_REL);
  for (;;) {  // a signal handler may come between the two
    T seen = LoadRelaxed(p);
    if (CompareExchangeOwned(p, seen, desired)) return seen;
  }
}
template <typename T>
[[gnu::always_inline]] inline T AddPrivate(T* p, T value, bool one_thread = HasOneThread()) {
#if defined(__x86_64__)
  if (__builtin_expect(one_thread, 1)) {
    asm volatile("xadd %0, %1" : "+r"(value), "+m"(*p) : : "memory", "cc");
    return value;
  }
#endif
  return AddRelaxed(p, value);
}

inline void Pause() {
#if defined(__x86_64__)
  asm volatile("pause");
#else
  asm volatile("yield");
#endif
}

}  // namespace leakhunt::sys
