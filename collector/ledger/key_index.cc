#include "collector/ledger/key_index.h"

#include <random>

namespace leakhunt::ledger {

namespace {

constexpr size_t kFirstBuckets = 64;

bool IsCrowded(size_t keys, size_t buckets) { return keys * 8 > buckets * 5; }

uint64_t ProcessSalt() {
  static const uint64_t salt = (static_cast<uint64_t>(std::random_device{}()) << 32) | std::random_device{}();
  return salt;
}

}  // namespace

KeyIndex::KeyIndex() : salt_(ProcessSalt()), buckets_(kFirstBuckets) {}

uint64_t KeyIndex::Hash(uint64_t key) const {
  uint64_t z = key ^ salt_;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
  return z ^ (z >> 31);
}

uint32_t KeyIndex::Find(uint64_t key) const {
  const uint64_t hash = Hash(key), mask = buckets_.size() - 1;
  const auto fingerprint = static_cast<uint32_t>(hash >> 32);
  for (uint64_t at = hash & mask; buckets_[at].number_plus_1 != 0; at = (at + 1) & mask) {
    const uint32_t number = buckets_[at].number_plus_1 - 1;
    if (buckets_[at].fingerprint == fingerprint && keys_[number] == key) return number;
  }
  return kAbsent;
}

uint32_t KeyIndex::FindOrAdd(uint64_t key) {
  const uint64_t hash = Hash(key), mask = buckets_.size() - 1;
  const auto fingerprint = static_cast<uint32_t>(hash >> 32);
  uint64_t at = hash & mask;
  for (; buckets_[at].number_plus_1 != 0; at = (at + 1) & mask) {
    const uint32_t number = buckets_[at].number_plus_1 - 1;
    if (buckets_[at].fingerprint == fingerprint && keys_[number] == key) return number;
  }
  keys_.push_back(key);
  buckets_[at] = {size(), fingerprint};
  if (IsCrowded(keys_.size(), buckets_.size())) Rehash(buckets_.size() * 2);
  return size() - 1;
}

void KeyIndex::Reserve(size_t keys) {
  size_t buckets = buckets_.size();
  while (IsCrowded(keys, buckets)) buckets *= 2;
  if (buckets > buckets_.size()) Rehash(buckets);
  keys_.reserve(keys);
}

void KeyIndex::Rehash(size_t buckets) {
  buckets_.assign(buckets, Bucket{});
  const uint64_t mask = buckets_.size() - 1;
  for (uint32_t number = 0; number < size(); ++number) {
    const uint64_t hash = Hash(keys_[number]);
    uint64_t at = hash & mask;
    while (buckets_[at].number_plus_1 != 0) at = (at + 1) & mask;
    buckets_[at] = {number + 1, static_cast<uint32_t>(hash >> 32)};
  }
}

}  // namespace leakhunt::ledger
