// A map from 64-bit keys to dense numbers 0, 1, 2, … in order of first sight: the index under every aggregation here.
//
// Keys come from hostile pages, so the hash is salted with a random number of this process. Open addressing, at most
// five eighths full, never shrinks, never erases. Single thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace leakhunt::ledger {

class KeyIndex {
 public:
  static constexpr uint32_t kAbsent = 0xFFFF'FFFF;

  KeyIndex();

  // Makes room for `keys` of them at once.
  void Reserve(size_t keys);

  // Number of `key`, giving it the next free number when it is new.
  uint32_t FindOrAdd(uint64_t key);

  // Number of `key`, or kAbsent.
  uint32_t Find(uint64_t key) const;

  uint32_t size() const { return static_cast<uint32_t>(keys_.size()); }
  uint64_t KeyAt(uint32_t number) const { return keys_[number]; }

 private:
  // A probe compares fingerprints and leaves the table for the key itself only when they agree.
  struct Bucket {
    uint32_t number_plus_1 = 0;  // 0 = empty
    uint32_t fingerprint = 0;
  };

  uint64_t Hash(uint64_t key) const;
  void Rehash(size_t buckets);

  uint64_t salt_;
  std::vector<uint64_t> keys_;   // by number
  std::vector<Bucket> buckets_;  // a power of two of them
};

}  // namespace leakhunt::ledger
