#include "collector/ledger/stack_table.h"

#include <xxhash.h>

#include <string>

#include "collector/snapshot/message.h"

namespace leakhunt::ledger {

namespace {

// More than people or programs have call sites, and well below what a reader takes. Beyond it a stack is an unknown one.
constexpr uint32_t kMaxStacks = 1u << 18;
constexpr uint64_t kMaxFrameUses = uint64_t{36} << 20;
constexpr uint64_t kDecodedAStack = 2 * (sizeof(snapshot::Stack) + sizeof(snapshot::Site));
static_assert(kMaxStacks * kDecodedAStack + kMaxFrameUses * 2 * sizeof(uint32_t) < snapshot::kMaxDecodedBytes * 7 / 8);
constexpr uint64_t kRecentWords = 8192;

uint64_t FrameHash(const std::string& identity, uint64_t offset) {
  std::string content = identity;
  content.append(reinterpret_cast<const char*>(&offset), sizeof(offset));
  return XXH3_64bits(content.data(), content.size());
}

}  // namespace

StackTable::StackTable(const PageFile& file, snapshot::Rows* rows)
    : file_(file), arena_(file), recent_(kRecentWords), rows_(rows) {
  rows_->Add(stack_);  // the unknown one
}

void StackTable::Resolve(const PageDirectory& directory, std::vector<uint32_t> references) {
  RefreshModules(directory);
  arena_.Refresh(directory);
  references_ = StackReferences(std::move(references));
  resolved_.clear();
  resolved_.reserve(references_.Sorted().size());
  first_index_ += contents_.size();
  contents_ = KeyIndex();
  contents_.Reserve(references_.Sorted().size());
  RawStack raw;
  for (const uint32_t reference : references_.Sorted()) {
    const bool room = frame_uses_ < kMaxFrameUses && first_index_ + contents_.size() < kMaxStacks;
    const bool decoded = room && arena_.Decode(reference, &raw);
    if (room && !decoded) ++refused_;
    resolved_.push_back(decoded ? Resolved{Intern(raw), raw.first_tick, false} : Resolved{0, kNeverMet, !room});
  }
}

uint32_t StackTable::IndexOf(uint32_t reference) const {
  const uint32_t number = references_.Find(reference);
  return number == StackReferences::kAbsent ? 0 : resolved_[number].stack;
}

uint32_t StackTable::FirstTickOf(uint32_t reference) const {
  const uint32_t number = references_.Find(reference);
  return number == StackReferences::kAbsent ? kNeverMet : resolved_[number].first_tick;
}

bool StackTable::IsBeyond(uint32_t reference) const {
  const uint32_t number = references_.Find(reference);
  return number != StackReferences::kAbsent && resolved_[number].beyond;
}

// Modules come and go at other places of the table; those that frames name already keep their numbers.
void StackTable::RefreshModules(const PageDirectory& directory) {
  modules_ = ModuleTable::Read(file_, directory);
  kept_number_.assign(modules_.modules().size(), kNone);
  for (uint32_t k = 0; k < kept_.size(); ++k) {
    const uint32_t place = modules_.Find(kept_[k].module.start, kept_[k].first_epoch);
    if (place != snapshot::kNoModule && modules_.FirstEpoch(place) == kept_[k].first_epoch &&
        modules_.modules()[place] == kept_[k].module) {
      kept_number_[place] = k;
    }
  }
  recent_.assign(kRecentWords, RecentWord{});
}

uint32_t StackTable::Keep(uint32_t module) {
  if (kept_number_[module] == kNone) {
    kept_number_[module] = static_cast<uint32_t>(kept_.size());
    kept_.push_back({modules_.modules()[module], modules_.FirstEpoch(module)});
  }
  return kept_number_[module];
}

uint32_t StackTable::Intern(const RawStack& raw) {
  stack_.frames.clear();
  hashes_.clear();
  for (const uint64_t word : raw.words) {
    stack_.frames.push_back(FrameOf(word, raw.epoch));
    hashes_.push_back(frame_hashes_[stack_.frames.back()]);
  }
  if (hashes_.empty()) return 0;
  stack_.truncated = raw.truncated;
  stack_.content_hash = XXH3_64bits(hashes_.data(), hashes_.size() * sizeof(hashes_[0]));
  const uint32_t known = contents_.size();
  const uint32_t number = contents_.FindOrAdd(stack_.content_hash);
  if (number == known) {
    frame_uses_ += stack_.frames.size();
    rows_->Add(stack_);
  }
  return first_index_ + number;
}

uint32_t StackTable::FrameOf(uint64_t word, uint32_t epoch) {
  RecentWord& recent = recent_[(word ^ word >> 13) % kRecentWords];
  if (recent.word != word || recent.epoch != epoch || recent.frame == kNone) recent = {word, epoch, ResolveFrame(word, epoch)};
  return recent.frame;
}

uint32_t StackTable::ResolveFrame(uint64_t word, uint32_t epoch) {
  const uint64_t address = word & ~protocol::kFrameExactPc;
  const bool exact = (word & protocol::kFrameExactPc) != 0;
  snapshot::Frame frame;
  // A call may be the last instruction of its object: the return address then lies one past it.
  const uint32_t module = modules_.Find(exact || address == 0 ? address : address - 1, epoch);
  frame.flags = exact ? snapshot::kFrameExact : 0;
  frame.offset = address;
  uint64_t hash = 0;
  if (module == snapshot::kNoModule) {
    hash = FrameHash("", frame.offset);
  } else {
    frame.module = Keep(module);
    frame.offset -= modules_.modules()[module].bias;
    hash = FrameHash(modules_.Identity(module), frame.offset);
  }
  const uint64_t salted = hash + (static_cast<uint64_t>(frame.module) * 2 + frame.flags) * 0x9E37'79B9'7F4A'7C15ull;
  const uint32_t index = frame_contents_.FindOrAdd(salted);
  if (index == frames_.size()) {
    frames_.push_back(frame);
    frame_hashes_.push_back(hash);
  }
  return index;
}

void StackTable::MoveInto(snapshot::Snapshot* out) {
  out->modules.clear();
  for (const KeptModule& kept : kept_) out->modules.push_back(kept.module);
  for (uint32_t i = 0; i < modules_.modules().size(); ++i) {
    if (kept_number_[i] == kNone && modules_.StillLoaded(i)) out->modules.push_back(modules_.modules()[i]);
  }
  out->frames = std::move(frames_);
}

}  // namespace leakhunt::ledger
