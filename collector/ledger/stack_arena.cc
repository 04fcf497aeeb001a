#include "collector/ledger/stack_arena.h"

#include <algorithm>
#include <cstddef>
#include <cstring>

#include "collector/base/turns.h"

namespace leakhunt::ledger {

namespace {

// A guest cuts chains far earlier; this bounds what a hostile one can make us walk.
constexpr int kMaxChain = 2 * static_cast<int>(protocol::kMaxFrames);
constexpr uint64_t kMaxSteps = uint64_t{1} << 24;  // over all stacks of a capture: about a second

}  // namespace

StackArena::StackArena(const PageFile& file) : file_(file), blocks_(kBlocks), outer_(kOuters) {}

void StackArena::Refresh(const PageDirectory& directory) {
  used_.clear();
  last_ = {};
  for (const std::unique_ptr<Block>& block : blocks_) {
    if (block != nullptr) block->offset = ~uint64_t{0};  // records may have been added to it
  }
  for (Outer& outer : outer_) {
    if (!outer.whole) outer.reference = 0;
  }
  for (const Area& area : directory.Areas(protocol::AreaKind::kStacks)) {
    protocol::AppendHeader head;
    if (!file_.Read(area.offset, &head, sizeof(head))) continue;
    const uint64_t used = std::min<uint64_t>(head.used_bytes, area.bytes);
    if (used > sizeof(head)) used_.push_back({area.offset + sizeof(head), area.offset + used});
  }
}

bool StackArena::Decode(uint32_t reference, RawStack* stack) {
  Turns::Pause();
  stack->words.clear();
  stack->truncated = false;
  protocol::StackRecord record;
  if (reference == 0 || !AppendRecord(reference, stack, &record)) {
    stack->words.clear();
    return false;
  }
  stack->epoch = record.epoch;
  stack->first_tick = record.first_tick;
  if (record.parent == 0) return true;
  const RawStack* outer = OuterFrames(record.parent);
  if (outer == nullptr) {
    stack->words.clear();
    return false;
  }
  const size_t room = protocol::kMaxFrames - stack->words.size();
  const size_t take = std::min(room, outer->words.size());
  stack->words.insert(stack->words.end(), outer->words.begin(), outer->words.begin() + static_cast<ptrdiff_t>(take));
  stack->truncated = stack->truncated || outer->truncated || take < outer->words.size();
  return true;
}

// The frames from record `reference` outwards; null when the chain breaks.
const RawStack* StackArena::OuterFrames(uint32_t reference) {
  Outer& outer = outer_[(reference ^ reference >> 10) % kOuters];
  if (outer.reference != reference) {
    outer.reference = reference;
    outer.whole = FollowChain(reference, &outer.stack);
  }
  return outer.whole ? &outer.stack : nullptr;
}

bool StackArena::FollowChain(uint32_t reference, RawStack* stack) {
  stack->words.clear();
  stack->truncated = false;
  for (int hop = 0; reference != 0; ++hop) {
    protocol::StackRecord record;
    if (!AppendRecord(reference, stack, &record)) return false;
    reference = record.parent;
    if (reference == 0) return true;
    if (stack->words.size() >= protocol::kMaxFrames || hop >= kMaxChain) {
      stack->truncated = true;
      return true;
    }
  }
  return false;
}

// The frames of one record. A parent lies lower in the file, so that chains end.
bool StackArena::AppendRecord(uint32_t reference, RawStack* stack, protocol::StackRecord* record) {
  if (++steps_ > kMaxSteps) return false;
  const uint64_t offset = protocol::StackOffset(reference);
  const uint64_t end = UsedEnd(offset);
  if (end == 0 || end - offset < sizeof(*record) || !Copy(offset, record, sizeof(*record))) return false;
  const uint64_t words_bytes = uint64_t{record->frames} * sizeof(uint64_t);
  if (record->frames > protocol::kMaxFrames || end - offset - sizeof(*record) < words_bytes) return false;
  if (record->parent >= reference) return false;
  if ((record->flags & (protocol::kStackTruncated | protocol::kStackShortened)) != 0) stack->truncated = true;
  return Append(offset + sizeof(*record), *record, stack);
}

bool StackArena::Append(uint64_t offset, const protocol::StackRecord& record, RawStack* stack) {
  const size_t room = protocol::kMaxFrames - stack->words.size();
  const size_t take = std::min<size_t>(room, record.frames);
  if (take < record.frames) stack->truncated = true;
  const size_t before = stack->words.size();
  stack->words.resize(before + take);
  return Copy(offset, stack->words.data() + before, take * sizeof(uint64_t));
}

uint64_t StackArena::UsedEnd(uint64_t offset) {
  if (offset >= last_.begin && offset < last_.end) return last_.end;
  const auto above = std::upper_bound(used_.begin(), used_.end(), offset,
                                      [](uint64_t value, const Used& u) { return value < u.begin; });
  if (above == used_.begin()) return 0;
  last_ = *(above - 1);
  return offset < last_.end ? last_.end : 0;
}

const StackArena::Block* StackArena::BlockAt(uint64_t offset) {
  std::unique_ptr<Block>& block = blocks_[(offset / protocol::kPageBytes) % kBlocks];
  if (block == nullptr) block = std::make_unique<Block>();
  if (block->offset == offset) return block.get();
  block->offset = offset;
  if (file_.Read(offset, block->bytes.data(), block->bytes.size())) return block.get();
  block->offset = ~uint64_t{0};
  return nullptr;
}

bool StackArena::Copy(uint64_t offset, void* into, size_t bytes) {
  char* at = static_cast<char*>(into);
  while (bytes > 0) {
    const uint64_t inside = offset % protocol::kPageBytes;
    const Block* block = BlockAt(offset - inside);
    if (block == nullptr) return false;
    const size_t part = std::min<size_t>(bytes, protocol::kPageBytes - inside);
    std::memcpy(at, block->bytes.data() + inside, part);
    at += part;
    offset += part;
    bytes -= part;
  }
  return true;
}

}  // namespace leakhunt::ledger
