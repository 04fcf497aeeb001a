// What one sampled block stands for: Horvitz–Thompson weights, and the thinning at the memory bound.
//
// A block of s bytes drawn with mean interval T is in the sample with p = 1 - exp(-s/T), or surely when s >= T or
// T <= 1. It stands for s/p bytes and 1/p blocks; its share of the variance is (1-p)·w² of either weight. The guest
// draws for a block of no bytes as for one of one byte.
#pragma once

#include <cstdint>
#include <vector>

namespace leakhunt::ledger {

struct BlockWeight {
  double bytes = 0;
  double count = 1;
  double bytes_variance = 0;
  double count_variance = 0;
  double probability = 1;

  bool Certain() const { return probability >= 1; }
};

// The weight of a block of `size_bytes` in a sample of mean interval `interval_bytes`.
BlockWeight WeighBlock(uint64_t size_bytes, uint64_t interval_bytes);

// Weighs records of one capture; remembers the weights of recent sizes, since programs repeat theirs.
class RecordWeigher {
 public:
  // `floor_interval_bytes`: T_floor of the header; 0 or 1 = none.
  explicit RecordWeigher(uint64_t floor_interval_bytes);

  // Null when the floor drops the record. `slot_offset` and `generation` identify it; `size_interval` is the slot's
  // word. The pointer lasts until the next call.
  const BlockWeight* Weigh(uint64_t slot_offset, uint64_t generation, uint64_t size_interval);

 private:
  struct Entry {
    uint64_t size_interval = 0;
    bool used = false;
    double p_drawn = 1;
    BlockWeight weight;
  };

  void Fill(Entry* entry, uint64_t size_interval) const;

  uint64_t floor_interval_bytes_;
  std::vector<Entry> recent_;
};

}  // namespace leakhunt::ledger
