// Stacks, frames and modules of one snapshot: merged by content.
//
// The guest may intern the same stack twice, and addresses differ from process to process. A stack's identity is its
// content hash: XXH3-64 over the hashes of its frames, innermost first, each XXH3-64 over the module's build-id (hex;
// its path when it has none; nothing for code outside any module) followed by the 8 bytes of the offset.
#pragma once

#include <cstdint>
#include <vector>

#include "collector/ledger/key_index.h"
#include "collector/ledger/module_table.h"
#include "collector/ledger/page_directory.h"
#include "collector/ledger/page_file.h"
#include "collector/ledger/stack_arena.h"
#include "collector/ledger/stack_references.h"
#include "collector/snapshot/rows.h"

namespace leakhunt::ledger {

class StackTable {
 public:
  // Hands every stack on to `rows` when it is first met, the unknown one first, and keeps no more than what it is
  // recognized by.
  StackTable(const PageFile& file, const PageDirectory& directory, snapshot::Rows* rows);

  // Decodes all of `references` (any order, repeats welcome). Those that lead nowhere become the unknown stack.
  void Resolve(std::vector<uint32_t> references);

  // Index into the snapshot's stacks of a resolved reference; 0 (unknown) for any other.
  uint32_t IndexOf(uint32_t reference) const;

  uint64_t ContentHash(uint32_t index) const { return contents_.KeyAt(index); }

  // References that led nowhere, and module records refused.
  uint64_t refused() const { return refused_ + modules_.refused(); }

  // Moves frames and the modules worth keeping (loaded, or named by a frame) into `out`. Call last.
  void MoveInto(snapshot::Snapshot* out);

 private:
  uint32_t Intern(const RawStack& raw);
  uint32_t FrameOf(uint64_t word, uint32_t epoch);
  uint32_t LookUpFrame(uint64_t word, uint32_t epoch);
  uint32_t ResolveFrame(uint64_t word, uint32_t epoch);

  const PageFile& file_;
  const PageDirectory& directory_;
  ModuleTable modules_;
  StackReferences references_;
  std::vector<uint32_t> stack_of_reference_;  // by its position
  KeyIndex epochs_;
  KeyIndex words_;  // (address, exactness, epoch) already resolved
  std::vector<uint32_t> frame_of_word_;
  struct RecentWord {
    uint64_t word = 0;
    uint32_t epoch = 0, frame = kNone;
  };
  static constexpr uint32_t kNone = 0xFFFF'FFFF;
  std::vector<RecentWord> recent_;  // by the word's low bits: what nearly every frame of every stack is found by
  KeyIndex frame_contents_;
  std::vector<uint64_t> frame_hashes_;  // by frame
  std::vector<snapshot::Frame> frames_;
  KeyIndex contents_;  // hashes of the stacks, by index
  snapshot::Rows* rows_;
  snapshot::Stack stack_;  // the one in hand
  std::vector<uint64_t> hashes_;
  uint64_t frame_uses_ = 0;
  uint64_t refused_ = 0;
};

}  // namespace leakhunt::ledger
