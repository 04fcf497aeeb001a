#include "collector/ledger/stack_table.h"

#include <xxhash.h>

#include <string>

namespace leakhunt::ledger {

namespace {

constexpr uint64_t kMaxFrameUses = uint64_t{1} << 25;  // 128 MiB of indices: no program has so many stacks
constexpr uint64_t kRecentWords = 1024;
constexpr uint64_t kAddressLimit = uint64_t{1} << 48;
constexpr uint32_t kEpochLimit = 1u << 15;

uint64_t FrameHash(const std::string& identity, uint64_t offset) {
  std::string content = identity;
  content.append(reinterpret_cast<const char*>(&offset), sizeof(offset));
  return XXH3_64bits(content.data(), content.size());
}

}  // namespace

StackTable::StackTable(const PageFile& file, const PageDirectory& directory, snapshot::Rows* rows)
    : file_(file), directory_(directory), modules_(ModuleTable::Read(file, directory)), recent_(kRecentWords), rows_(rows) {
  Intern(RawStack{});
}

void StackTable::Resolve(std::vector<uint32_t> references) {
  references_ = StackReferences(std::move(references));
  stack_of_reference_.reserve(references_.Sorted().size());
  contents_.Reserve(references_.Sorted().size() + 1);
  StackArena arena(file_, directory_);
  RawStack raw;
  for (const uint32_t reference : references_.Sorted()) {
    const bool decoded = frame_uses_ < kMaxFrameUses && arena.Decode(reference, &raw);
    if (!decoded) ++refused_;
    stack_of_reference_.push_back(decoded ? Intern(raw) : 0);
  }
}

uint32_t StackTable::IndexOf(uint32_t reference) const {
  const uint32_t number = references_.Find(reference);
  return number == StackReferences::kAbsent ? 0 : stack_of_reference_[number];
}

uint32_t StackTable::Intern(const RawStack& raw) {
  stack_.frames.clear();
  hashes_.clear();
  for (const uint64_t word : raw.words) {
    stack_.frames.push_back(FrameOf(word, raw.epoch));
    hashes_.push_back(frame_hashes_[stack_.frames.back()]);
  }
  stack_.truncated = raw.truncated;
  stack_.content_hash = hashes_.empty() ? 0 : XXH3_64bits(hashes_.data(), hashes_.size() * sizeof(hashes_[0]));
  const uint32_t known = contents_.size();
  const uint32_t index = contents_.FindOrAdd(stack_.content_hash);
  if (index == known) {
    frame_uses_ += stack_.frames.size();
    rows_->Add(stack_);
  }
  return index;
}

uint32_t StackTable::FrameOf(uint64_t word, uint32_t epoch) {
  RecentWord& recent = recent_[(word ^ word >> 12) % kRecentWords];
  if (recent.word != word || recent.epoch != epoch || recent.frame == kNone) recent = {word, epoch, LookUpFrame(word, epoch)};
  return recent.frame;
}

uint32_t StackTable::LookUpFrame(uint64_t word, uint32_t epoch) {
  const uint64_t address = word & ~protocol::kFrameExactPc;
  const uint32_t epoch_number = epochs_.size() < kEpochLimit ? epochs_.FindOrAdd(epoch) : epochs_.Find(epoch);
  if (address >= kAddressLimit || epoch_number >= kEpochLimit) return ResolveFrame(word, epoch);
  const uint64_t exact = word >> 63;
  const uint32_t known = words_.FindOrAdd(address | (exact << 48) | (static_cast<uint64_t>(epoch_number) << 49));
  if (known == frame_of_word_.size()) frame_of_word_.push_back(ResolveFrame(word, epoch));
  return frame_of_word_[known];
}

uint32_t StackTable::ResolveFrame(uint64_t word, uint32_t epoch) {
  const uint64_t address = word & ~protocol::kFrameExactPc;
  const bool exact = (word & protocol::kFrameExactPc) != 0;
  snapshot::Frame frame;
  // A call may be the last instruction of its object: the return address then lies one past it.
  frame.module = modules_.Find(exact || address == 0 ? address : address - 1, epoch);
  frame.offset = frame.module == snapshot::kNoModule ? address : address - modules_.modules()[frame.module].bias;
  frame.flags = exact ? snapshot::kFrameExact : 0;
  const std::string none;
  const uint64_t hash =
      FrameHash(frame.module == snapshot::kNoModule ? none : modules_.Identity(frame.module), frame.offset);
  const uint64_t salted = hash + (static_cast<uint64_t>(frame.module) * 2 + frame.flags) * 0x9E37'79B9'7F4A'7C15ull;
  const uint32_t index = frame_contents_.FindOrAdd(salted);
  if (index == frames_.size()) {
    frames_.push_back(frame);
    frame_hashes_.push_back(hash);
  }
  return index;
}

void StackTable::MoveInto(snapshot::Snapshot* out) {
  const std::vector<snapshot::Module>& modules = modules_.modules();
  std::vector<bool> wanted(modules.size());
  for (uint32_t i = 0; i < modules.size(); ++i) wanted[i] = modules_.StillLoaded(i);
  for (const snapshot::Frame& frame : frames_) {
    if (frame.module != snapshot::kNoModule) wanted[frame.module] = true;
  }
  std::vector<uint32_t> place(modules.size(), snapshot::kNoModule);
  out->modules.clear();
  for (uint32_t i = 0; i < modules.size(); ++i) {
    if (!wanted[i]) continue;
    place[i] = static_cast<uint32_t>(out->modules.size());
    out->modules.push_back(modules[i]);
  }
  for (snapshot::Frame& frame : frames_) {
    if (frame.module != snapshot::kNoModule) frame.module = place[frame.module];
  }
  out->frames = std::move(frames_);
}

}  // namespace leakhunt::ledger
