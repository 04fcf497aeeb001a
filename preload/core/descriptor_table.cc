#include "preload/core/descriptor_table.h"

#include "preload/sys/atomic.h"
#include "preload/sys/memory.h"

namespace leakhunt::core {

constinit DescriptorLevel* g_descriptors[kDescriptorFanOut] = {};
[[gnu::section("leakhunt_hot.descriptors")]] constinit DescriptorLeaf g_first_descriptors = {};

namespace {

constexpr uint32_t kBits = kDescriptorBits, kFanOut = kDescriptorFanOut;

// The child at `place`, made when it is not there. A loser of the race leaves its own unused: 8 KiB, once.
template <typename T>
T* Ensure(T** place) {
  T* there = sys::LoadAcquire(place);  // partner: the exchange below
  if (there != nullptr) return there;
  T* fresh = static_cast<T*>(sys::Carve(sizeof(T)));
  if (fresh == nullptr) return nullptr;
  return sys::CompareExchange(place, static_cast<T*>(nullptr), fresh) ? fresh : sys::LoadAcquire(place);
}

}  // namespace

uint64_t* FindFarDescriptor(uint32_t number) {
  if (number >> 3 * kBits != 0) return nullptr;
  DescriptorLevel* level = sys::LoadAcquire(&g_descriptors[number >> 2 * kBits]);  // partner: EnsureDescriptor
  if (level == nullptr) return nullptr;
  DescriptorLeaf* leaf = sys::LoadAcquire(&level->leaves[number >> kBits & (kFanOut - 1)]);
  return leaf == nullptr ? nullptr : &leaf->words[number & (kFanOut - 1)];
}

uint64_t* EnsureDescriptor(int fd) {
  if (uint64_t* word = FindDescriptor(fd); word != nullptr) return word;
  uint32_t number = static_cast<uint32_t>(fd);
  if (number >> 3 * kBits != 0) return nullptr;
  DescriptorLevel* level = Ensure(&g_descriptors[number >> 2 * kBits]);
  if (level == nullptr || Ensure(&level->leaves[number >> kBits & (kFanOut - 1)]) == nullptr) return nullptr;
  return FindDescriptor(fd);
}

int NextDescriptor(int first, int last) {
  constexpr int64_t kEnd = int64_t{1} << 3 * kBits;
  int64_t end = int64_t{last} + 1 < kEnd ? int64_t{last} + 1 : kEnd;
  for (int64_t fd = first < 0 ? 0 : first; fd < end;) {
    const DescriptorLevel* level = sys::LoadAcquire(&g_descriptors[fd >> 2 * kBits]);
    if (level == nullptr && fd >= kFanOut) {
      fd = ((fd >> 2 * kBits) + 1) << 2 * kBits;
      continue;
    }
    const DescriptorLeaf* leaf = fd < kFanOut ? &g_first_descriptors : sys::LoadAcquire(&level->leaves[fd >> kBits & (kFanOut - 1)]);
    if (leaf == nullptr) {
      fd = ((fd >> kBits) + 1) << kBits;
      continue;
    }
    for (uint64_t i = fd & (kFanOut - 1); i < kFanOut && fd < end; ++i, ++fd) {
      if (sys::LoadRelaxed(&leaf->words[i]) != 0) return static_cast<int>(fd);
    }
  }
  return -1;
}

}  // namespace leakhunt::core
