// What stands behind each descriptor number: one atomic word a number, in a three-level table.
//
// Written by any thread and in signal handlers, without locks: a word changes hands by exchange, and who gets it out of
// the table owns the handle it names. Levels are made when a number in their range is first used and never given back;
// RLIMIT_NOFILE may be 10^9, so nothing is as long as the limit. The first thousand numbers, which are all that most programs
// have, are found at once.
#pragma once

#include <cstdint>

#include "preload/protocol/layout.h"
#include "preload/sys/atomic.h"
#include "preload/sys/hot.h"

namespace leakhunt::core {

// A word of the table. 0: no handle known.
struct DescriptorEntry {
  uint64_t word = 0;

  explicit operator bool() const { return word != 0; }
  // The handle's slot in the shared pages; of an entry of another generation, in the parent's.
  protocol::HandleSlot* Slot() const {
    static_assert(kSlotBits + kSlotShift == 48);
    return reinterpret_cast<protocol::HandleSlot*>(word << (64 - kSlotBits) >> (64 - kSlotBits - kSlotShift));
  }
  // Process generation that recorded it, modulo 65,536.
  uint16_t Generation() const { return static_cast<uint16_t>(word >> 48); }
  protocol::HandleType Type() const { return static_cast<protocol::HandleType>(word >> 41 & 0x3F); }
  // Open since before this image or fork: its slot is in a kInheritedHandles area.
  bool Inherited() const { return (word >> 47 & 1) != 0; }

  // Recorded under this generation as it was opened, not inherited.
  bool IsOwnOf(uint16_t generation) const { return word >> 47 == uint64_t{generation} << 1; }

  static constexpr uint32_t kSlotBits = 41, kSlotShift = 7;  // addresses of 48 bits, in steps of 128 bytes
};
static_assert(protocol::kHandleTypes <= 0x40 && sizeof(protocol::HandleSlot) == 1 << DescriptorEntry::kSlotShift);

inline DescriptorEntry PackEntry(const protocol::HandleSlot* slot, uint32_t generation, protocol::HandleType type,
                                 bool inherited) {
  return DescriptorEntry{reinterpret_cast<uint64_t>(slot) >> DescriptorEntry::kSlotShift |
                         static_cast<uint64_t>(type) << DescriptorEntry::kSlotBits | uint64_t{inherited} << 47 |
                         uint64_t{generation & 0xFFFF} << 48};
}

inline constexpr uint32_t kDescriptorBits = 10, kDescriptorFanOut = 1u << kDescriptorBits;

struct DescriptorLeaf {
  uint64_t words[kDescriptorFanOut];
};
struct DescriptorLevel {
  DescriptorLeaf* leaves[kDescriptorFanOut];
};
LEAKHUNT_HIDDEN extern constinit DescriptorLevel* g_descriptors[kDescriptorFanOut];
LEAKHUNT_HIDDEN extern constinit DescriptorLeaf g_first_descriptors;  // in place of the first level's first leaf

uint64_t* FindFarDescriptor(uint32_t number);  // beyond the first
// The word of one of the first numbers; null for all others.
[[gnu::always_inline]] inline uint64_t* FindNearDescriptor(int fd) {
  const uint32_t number = static_cast<uint32_t>(fd);
  return __builtin_expect(number < kDescriptorFanOut, 1) ? &g_first_descriptors.words[number] : nullptr;
}
// The word of `fd`, null when nothing near that number, beyond the first, was ever recorded (or fd is negative).
inline uint64_t* FindDescriptor(int fd) {
  const uint32_t number = static_cast<uint32_t>(fd);
  return __builtin_expect(number < kDescriptorFanOut, 1) ? &g_first_descriptors.words[number] : FindFarDescriptor(number);
}
// The same, making its level; null when memory is refused.
uint64_t* EnsureDescriptor(int fd);

// The present entry, and exchanges of it.
inline DescriptorEntry LoadDescriptor(int fd) {
  uint64_t* word = FindDescriptor(fd);
  return DescriptorEntry{word == nullptr ? 0 : __atomic_load_n(word, __ATOMIC_ACQUIRE)};
}
inline DescriptorEntry ExchangeDescriptor(uint64_t* word, DescriptorEntry entry, bool one_thread = sys::HasOneThread()) {
  return DescriptorEntry{sys::ExchangePrivate(word, entry.word, one_thread)};
}
inline DescriptorEntry TakeDescriptor(int fd) {
  uint64_t* word = FindDescriptor(fd);
  if (word == nullptr || __atomic_load_n(word, __ATOMIC_RELAXED) == 0) return {};
  return ExchangeDescriptor(word, {});
}

// The next number in [first, last] with an entry, -1 when there is none.
int NextDescriptor(int first, int last);

}  // namespace leakhunt::core
