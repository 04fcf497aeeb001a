// The guest's stack arena: from a stack reference to addresses, innermost first.
//
// Records are stored as deltas against a parent that lies lower in the file. A reference comes from hostile pages: it
// must point into a stack area, below what that area says is used. Blocks of the arena are kept while one capture
// decodes; ask for references in rising order and neighbours come from the same block.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "collector/ledger/page_directory.h"
#include "collector/ledger/page_file.h"
#include "preload/protocol/layout.h"

namespace leakhunt::ledger {

struct RawStack {
  std::vector<uint64_t> words;  // as the guest wrote them, kFrameExactPc included
  uint32_t epoch = 0;
  uint32_t first_tick = 0;  // when the innermost record was interned
  bool truncated = false;
};

class StackArena {
 public:
  explicit StackArena(const PageFile& file);

  // Takes in what the stack areas hold by now.
  void Refresh(const PageDirectory& directory);

  // False when the reference leads nowhere or the chain breaks; `stack` is then empty. Never more than
  // protocol::kMaxFrames words: what is deeper is cut and marked truncated.
  bool Decode(uint32_t reference, RawStack* stack);

 private:
  static constexpr size_t kBlocks = 128;
  struct Block {
    uint64_t offset = ~uint64_t{0};
    std::array<uint8_t, protocol::kPageBytes> bytes;
  };

  // The frames of a parent met lately: most stacks share theirs with one before.
  static constexpr size_t kOuters = 256;
  struct Outer {
    uint32_t reference = 0;
    bool whole = false;
    RawStack stack;
  };

  struct Used {
    uint64_t begin = 0, end = 0;  // of the records in one area
  };

  // End of the records of the area that holds `offset`, or 0.
  uint64_t UsedEnd(uint64_t offset);
  bool Copy(uint64_t offset, void* into, size_t bytes);
  const Block* BlockAt(uint64_t offset);
  bool Append(uint64_t offset, const protocol::StackRecord& record, RawStack* stack);
  bool AppendRecord(uint32_t reference, RawStack* stack, protocol::StackRecord* record);
  bool FollowChain(uint32_t reference, RawStack* stack);
  const RawStack* OuterFrames(uint32_t reference);

  const PageFile& file_;
  std::vector<Used> used_;  // by begin
  Used last_;               // the one asked for last
  std::vector<std::unique_ptr<Block>> blocks_;
  std::vector<Outer> outer_;
  uint64_t steps_ = 0;  // chain records followed so far
};

}  // namespace leakhunt::ledger
