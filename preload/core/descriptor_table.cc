#include "preload/core/descriptor_table.h"

#include "preload/sys/atomic.h"
#include "preload/sys/memory.h"

namespace leakhunt::core {
namespace {

constexpr uint32_t kBits = 10, kFanOut = 1u << kBits;

struct Leaf {
  uint64_t words[kFanOut];
};
struct Middle {
  Leaf* leaves[kFanOut];
};
constinit Middle* g_root[kFanOut] = {};

struct Place {
  uint32_t root, middle, leaf;
};
Place PlaceOf(int fd) {
  uint32_t number = static_cast<uint32_t>(fd);
  return Place{number >> 2 * kBits, number >> kBits & (kFanOut - 1), number & (kFanOut - 1)};
}

// The child at `place`, made when it is not there. A loser of the race leaves its own unused: 8 KiB, once.
template <typename T>
T* Ensure(T** place) {
  T* there = sys::LoadAcquire(place);  // partner: the exchange below
  if (there != nullptr) return there;
  T* fresh = static_cast<T*>(sys::Carve(sizeof(T)));
  if (fresh == nullptr) return nullptr;
  return sys::CompareExchange(place, static_cast<T*>(nullptr), fresh) ? fresh : sys::LoadAcquire(place);
}

bool InRange(int fd) { return fd >= 0 && static_cast<uint32_t>(fd) >> 3 * kBits == 0; }

}  // namespace

uint64_t* FindDescriptor(int fd) {
  if (!InRange(fd)) return nullptr;
  Place at = PlaceOf(fd);
  Middle* middle = sys::LoadAcquire(&g_root[at.root]);
  if (middle == nullptr) return nullptr;
  Leaf* leaf = sys::LoadAcquire(&middle->leaves[at.middle]);
  return leaf == nullptr ? nullptr : &leaf->words[at.leaf];
}

uint64_t* EnsureDescriptor(int fd) {
  if (!InRange(fd)) return nullptr;
  Place at = PlaceOf(fd);
  Middle* middle = Ensure(&g_root[at.root]);
  Leaf* leaf = middle == nullptr ? nullptr : Ensure(&middle->leaves[at.middle]);
  return leaf == nullptr ? nullptr : &leaf->words[at.leaf];
}

int NextDescriptor(int first, int last) {
  constexpr int64_t kEnd = int64_t{1} << 3 * kBits;
  int64_t end = int64_t{last} + 1 < kEnd ? int64_t{last} + 1 : kEnd;
  for (int64_t fd = first < 0 ? 0 : first; fd < end;) {
    Place at = PlaceOf(static_cast<int>(fd));
    Middle* middle = sys::LoadAcquire(&g_root[at.root]);
    if (middle == nullptr) {
      fd = ((fd >> 2 * kBits) + 1) << 2 * kBits;
      continue;
    }
    Leaf* leaf = sys::LoadAcquire(&middle->leaves[at.middle]);
    if (leaf == nullptr) {
      fd = ((fd >> kBits) + 1) << kBits;
      continue;
    }
    for (uint32_t i = at.leaf; i < kFanOut && fd < end; ++i, ++fd) {
      if (sys::LoadRelaxed(&leaf->words[i]) != 0) return static_cast<int>(fd);
    }
  }
  return -1;
}

}  // namespace leakhunt::core
