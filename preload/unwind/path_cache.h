// What a thread has learned of its own stacks: the walks it made, as a trie from the innermost frame outwards.
//
// A node is a frame together with all frames inside it, so one node stands for one stack prefix and the last node of a
// walk for the whole stack; whatever belongs to that stack (its reference in the pages) is found in the node, without
// hashing the frames or looking them up. A node keeps the rule of its pc and two of its callers, so a known stack
// costs per frame: one load of the return address, one comparison. Nodes that follow each other in memory and whose frames
// lie on the stack at fixed distances form a run: each says how far above the run's first frame it lies, so that the
// return addresses of a run are compared without waiting for one another. It is a walk all the same: every return address is
// read and every CFA checked each time, so nothing has to be assumed of the stack, however it changed meanwhile.
//
// Chosen over a memo of the last walk (verify the tail, walk the rest): stacks alternate between a few dozen shapes, and
// the memo then re-walked, re-hashed and re-interned most of what it had known two walks ago.
//
// Owned by one thread, used by it alone and not by a signal handler that interrupts the use. Grows by the factor four
// while its process has room, then is emptied when it no longer serves.
#pragma once

#include <cstdint>

#include "preload/unwind/path_rule.h"
#include "preload/unwind/unwinder.h"

namespace leakhunt::unwind {

class TailMemo;

struct PathNode {
  uint64_t word;    // pc with kExactPc
  PathRule rule;
  uint16_t rise;      // words from the stack pointer of its run's first frame up to this one's; 0 = the first
  uint16_t saved_at;  // words from there to where this frame's rbp was saved in the run, plus 1; 0 = not saved in it
  uint32_t inner;   // the node of the frame inside; 0 = the innermost frame
  uint32_t likely;  // the node of the first caller met; 0 = none yet
  uint32_t other;   // and of another, the last one met
  uint32_t stack;   // what the owner keeps for the stack that ends here; 0 = nothing yet
};
static_assert(sizeof(PathNode) == 32);

class PathCache {
 public:
  // Memory that all caches of the process may take together, besides the first 10 KiB of each.
  static constexpr uint64_t kMostBytes = 3u << 19;

  // Empties the cache when objects were unloaded since its last use.
  void Prepare(uint32_t epoch) {
    if (__builtin_expect(epoch != epoch_, 0)) Clear(epoch);
  }

  // Empties it at its next use, whatever state it is in.
  void Forget() { Clear(~uint32_t{0}); }

  PathNode& At(uint32_t node) { return nodes_[node]; }

  // The node of caller `word` outside `inner` (0: of the innermost frame); made when it is new. 0 = no room.
  uint32_t Enter(uint32_t inner, uint64_t word);

  // Enter(0, word), which every walk begins with: nearly always the one before began there, too.
  uint32_t EnterInnermost(uint64_t word) {
    if (capacity_ != 0 && nodes_[last_start_].word == word) return last_start_;
    return last_start_ = Enter(0, word);
  }

  // The likely caller of `inner`, a frame that was stepped from by its rule, is the next node: lets the runs of the two be one.
  void Straighten(uint32_t inner);

  // For what finds no room here; null when memory is refused.
  TailMemo* Beyond();

  // Writes the `depth` frames of `node`, innermost first.
  void Frames(uint32_t node, uint32_t depth, uint64_t* pcs) const;

 private:
  void Clear(uint32_t epoch);
  bool MakeRoom();
  bool Allocate(uint32_t capacity);
  void Index(uint32_t node);
  uint32_t FirstPlace(uint32_t inner, uint64_t word) const;

  PathNode* nodes_ = nullptr;  // [0] stands for none
  uint32_t* index_ = nullptr;  // open addressing, twice the capacity
  uint32_t capacity_ = 0, used_ = 0;
  uint32_t epoch_ = 0;
  uint32_t last_start_ = 0;
  uint64_t refused_ = 0;   // entries wanted since the cache is full
  uint64_t patience_ = 0;  // times its size
  TailMemo* beyond_ = nullptr;
};

}  // namespace leakhunt::unwind
