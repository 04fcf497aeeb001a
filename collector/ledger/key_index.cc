#include "collector/ledger/key_index.h"

#include <random>

namespace leakhunt::ledger {

namespace {

constexpr size_t kFirstBuckets = 64;

uint64_t ProcessSalt() {
  static const uint64_t salt = (static_cast<uint64_t>(std::random_device{}()) << 32) | std::random_device{}();
  return salt;
}

}  // namespace

KeyIndex::KeyIndex() : salt_(ProcessSalt()), buckets_(kFirstBuckets, 0) {}

uint64_t KeyIndex::Bucket(uint64_t key) const {
  uint64_t z = key ^ salt_;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
  return (z ^ (z >> 31)) & (buckets_.size() - 1);
}

uint32_t KeyIndex::Find(uint64_t key) const {
  for (uint64_t at = Bucket(key);; at = (at + 1) & (buckets_.size() - 1)) {
    if (buckets_[at] == 0) return kAbsent;
    if (keys_[buckets_[at] - 1] == key) return buckets_[at] - 1;
  }
}

uint32_t KeyIndex::FindOrAdd(uint64_t key) {
  uint64_t at = Bucket(key);
  for (; buckets_[at] != 0; at = (at + 1) & (buckets_.size() - 1)) {
    if (keys_[buckets_[at] - 1] == key) return buckets_[at] - 1;
  }
  keys_.push_back(key);
  buckets_[at] = size();
  if (keys_.size() * 4 > buckets_.size() * 3) Grow();
  return size() - 1;
}

void KeyIndex::Grow() {
  buckets_.assign(buckets_.size() * 2, 0);
  for (uint32_t number = 0; number < size(); ++number) {
    uint64_t at = Bucket(keys_[number]);
    while (buckets_[at] != 0) at = (at + 1) & (buckets_.size() - 1);
    buckets_[at] = number + 1;
  }
}

}  // namespace leakhunt::ledger
