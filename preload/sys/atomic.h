// Atomic access to plain words, private or in shared pages. The names say the order; the partner is named at the use.
#pragma once

#include <cstdint>

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

inline void Pause() {
#if defined(__x86_64__)
  asm volatile("pause");
#else
  asm volatile("yield");
#endif
}

}  // namespace leakhunt::sys
