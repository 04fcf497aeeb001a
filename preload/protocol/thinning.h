// The deterministic thinning at the memory bound: which records a reader keeps once T_floor exceeds their own T.
#pragma once

#include <cstdint>

namespace leakhunt::protocol {

// A uniform number in [0, 1) from a record's identity; the same in guest and reader. SplitMix64 finalizer (Steele,
// Lea & Flood 2014) of slot offset and generation.
inline double IdentityUniform(uint64_t slot_offset, uint64_t generation) {
  uint64_t z = (slot_offset * 0x9E3779B97F4A7C15ull) ^ (generation * 0xD1B54A32D192ED03ull);
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
  z ^= z >> 31;
  return static_cast<double>(z >> 11) * 0x1.0p-53;
}

// True when a record with inclusion probability p_drawn (by its own T) stays in a sample of probability p_floor
// (by T_floor): keep with probability p_floor / p_drawn, so that overall inclusion is p_floor.
inline bool KeepAtFloor(uint64_t slot_offset, uint64_t generation, double p_drawn, double p_floor) {
  return p_floor >= p_drawn || IdentityUniform(slot_offset, generation) * p_drawn < p_floor;
}

}  // namespace leakhunt::protocol
