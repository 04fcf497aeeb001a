// What stands behind each descriptor number: one atomic word a number, in a three-level table.
//
// Written by any thread and in signal handlers, without locks: a word changes hands by exchange, and who gets it out of
// the table owns the handle it names. Levels are made when a number in their range is first used and never given back;
// RLIMIT_NOFILE may be 10^9, so nothing is as long as the limit.
#pragma once

#include <cstdint>

#include "preload/protocol/layout.h"

namespace leakhunt::core {

// A word of the table. 0: no handle known.
struct DescriptorEntry {
  uint64_t word = 0;

  explicit operator bool() const { return word != 0; }
  // File offset / 128 of the handle's slot.
  uint32_t Slot() const { return static_cast<uint32_t>(word); }
  // Process generation that recorded it, modulo 65,536.
  uint16_t Generation() const { return static_cast<uint16_t>(word >> 32); }
  protocol::HandleType Type() const { return static_cast<protocol::HandleType>(word >> 48 & 0xFF); }
  // Open since before this image or fork: its slot is in a kInheritedHandles area.
  bool Inherited() const { return (word >> 63) != 0; }
};

inline DescriptorEntry PackEntry(uint32_t slot, uint32_t generation, protocol::HandleType type, bool inherited) {
  return DescriptorEntry{slot | (uint64_t{generation & 0xFFFF} << 32) | (static_cast<uint64_t>(type) << 48) |
                         (uint64_t{inherited} << 63)};
}

// The word of `fd`, null when nothing near that number was ever recorded (or fd is negative).
uint64_t* FindDescriptor(int fd);
// The same, making its level; null when memory is refused.
uint64_t* EnsureDescriptor(int fd);

// The present entry, and exchanges of it.
inline DescriptorEntry LoadDescriptor(int fd) {
  uint64_t* word = FindDescriptor(fd);
  return DescriptorEntry{word == nullptr ? 0 : __atomic_load_n(word, __ATOMIC_ACQUIRE)};
}
inline DescriptorEntry ExchangeDescriptor(uint64_t* word, DescriptorEntry entry) {
  return DescriptorEntry{__atomic_exchange_n(word, entry.word, __ATOMIC_ACQ_REL)};
}
inline DescriptorEntry TakeDescriptor(int fd) {
  uint64_t* word = FindDescriptor(fd);
  if (word == nullptr || __atomic_load_n(word, __ATOMIC_RELAXED) == 0) return {};
  return ExchangeDescriptor(word, {});
}

// The next number in [first, last] with an entry, -1 when there is none.
int NextDescriptor(int first, int last);

}  // namespace leakhunt::core
