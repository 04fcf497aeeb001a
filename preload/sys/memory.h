// Private memory of the guest: anonymous mappings, never the program's allocator.
#pragma once

#include <cstddef>
#include <cstdint>

namespace leakhunt::sys {

// Zeroed, read-write, private, excluded from core dumps; null when refused. `bytes` is rounded up to pages. Counted in
// PrivateBytes. Never unmapped: lock-free readers may still look.
void* MapPrivate(uint64_t bytes);

// As MapPrivate, for a large table that random accesses will soon have touched all over: from 2 MiB on in huge pages where the
// system grants them to those who ask. A first touch may then clear 2 MiB (some 100 us).
void* MapPrivateHuge(uint64_t bytes);

// As MapPrivate, and a forked child, however it was forked, finds zeros there (MADV_WIPEONFORK; null where that is refused).
void* MapPrivateWiped(uint64_t bytes);

// Gives the memory back to the kernel but keeps the mapping: readers see zeros.
void Discard(void* start, uint64_t bytes);

// Bytes mapped by MapPrivate so far less those discarded.
uint64_t PrivateBytes();

// A small block, 16-byte aligned, zeroed, for ever; null when memory is refused. Thread-safe, lock-free,
// async-signal-safe.
void* Carve(uint64_t bytes);

inline void Copy(void* to, const void* from, uint64_t bytes) { __builtin_memcpy(to, from, bytes); }
inline void Zero(void* to, uint64_t bytes) { __builtin_memset(to, 0, bytes); }

}  // namespace leakhunt::sys
