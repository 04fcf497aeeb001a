// Stacks, frames and modules of one snapshot: merged by content.
//
// The guest may intern the same stack twice, and addresses differ from process to process. A stack's identity is its
// content hash: XXH3-64 over the hashes of its frames, innermost first, each XXH3-64 over the module's build-id (hex;
// its path when it has none; nothing for code outside any module) followed by the 8 bytes of the offset.
//
// Stacks are resolved batch by batch (stack_parts.h) and forgotten with their batch: one that comes in two batches is two
// stacks of equal content, which the reader makes one.
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
  // Hands every stack on to `rows` when it is first met in its batch, the unknown one before all.
  StackTable(const PageFile& file, snapshot::Rows* rows);

  // Decodes the next batch: all of `references`, any order, repeats welcome. Those that lead nowhere become the unknown
  // stack. `directory` is as it is now: a live process goes on loading modules.
  void Resolve(const PageDirectory& directory, std::vector<uint32_t> references);

  // Index into the snapshot's stacks of a reference of this batch; 0 (unknown) for any other.
  uint32_t IndexOf(uint32_t reference) const;

  // When the guest first met a reference of this batch, in ticks; kNeverMet for any other.
  static constexpr uint32_t kNeverMet = 0xFFFF'FFFF;
  uint32_t FirstTickOf(uint32_t reference) const;

  // Of a stack of this batch, or of the unknown one.
  uint64_t ContentHash(uint32_t index) const { return index == 0 ? 0 : contents_.KeyAt(index - first_index_); }

  // References that led nowhere, and module records refused.
  uint64_t refused() const { return refused_ + modules_.refused(); }
  // Whether a reference of this batch became the unknown stack because there were too many before it.
  bool IsBeyond(uint32_t reference) const;

  // Moves frames and the modules worth keeping (loaded, or named by a frame) into `out`. Call last.
  void MoveInto(snapshot::Snapshot* out);

 private:
  uint32_t Intern(const RawStack& raw);
  uint32_t FrameOf(uint64_t word, uint32_t epoch);
  uint32_t ResolveFrame(uint64_t word, uint32_t epoch);
  void RefreshModules(const PageDirectory& directory);
  uint32_t Keep(uint32_t module);

  static constexpr uint32_t kNone = 0xFFFF'FFFF;
  const PageFile& file_;
  StackArena arena_;
  ModuleTable modules_;
  struct KeptModule {
    snapshot::Module module;
    uint32_t first_epoch;
  };
  std::vector<KeptModule> kept_;       // those that frames name
  std::vector<uint32_t> kept_number_;  // by the module's place in modules_: its place in kept_, or kNone
  StackReferences references_;
  struct Resolved {
    uint32_t stack, first_tick;
    bool beyond;
  };
  std::vector<Resolved> resolved_;  // by the reference's position
  struct RecentWord {
    uint64_t word = 0;
    uint32_t epoch = 0, frame = kNone;
  };
  std::vector<RecentWord> recent_;  // by the word's low bits: what nearly every frame of every stack is found by
  KeyIndex frame_contents_;
  std::vector<uint64_t> frame_hashes_;  // by frame
  std::vector<snapshot::Frame> frames_;
  KeyIndex contents_;          // hashes of the batch's stacks
  uint32_t first_index_ = 1;  // of them
  snapshot::Rows* rows_;
  snapshot::Stack stack_;  // the one in hand
  std::vector<uint64_t> hashes_;
  uint64_t frame_uses_ = 0;
  uint64_t refused_ = 0;
};

}  // namespace leakhunt::ledger
