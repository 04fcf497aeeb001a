// Builds shared pages as a guest would, in memory, and hands them over as a sealed memfd.
//
// Areas are laid out in the order they are asked for; `bytes()` may be defaced before Seal() to play a hostile guest,
// and the memfd may be written afterwards to play a live one.
#pragma once

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <bit>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <map>
#include <string>
#include <vector>

#include "collector/base/unique_fd.h"
#include "preload/protocol/layout.h"

namespace leakhunt::testing {

inline constexpr int64_t kStartedMs = 1'700'000'000'000;
inline constexpr uint64_t kStartedNs = 5'000'000'000;

struct RecordSpec {
  uint64_t size = 0;
  uint32_t stack = 0;
  uint64_t interval = 1;
  uint32_t tick = 0;
  protocol::BlockKind kind = protocol::BlockKind::kHeap;
  uint32_t scope = 0;
  uint32_t thread = 1;
  protocol::SlotState state = protocol::SlotState::kLive;
  uint32_t detached_tid = 0;  // of a detached thread
};

struct HandleSpec {
  int fd = 3;
  protocol::HandleType type = protocol::HandleType::kFile;
  std::string label = {};
  uint32_t stack = 0;
  uint32_t tick = 0;
  uint8_t flags = 0;
  uint64_t inode = 0;
  uint32_t thread = 1;
  protocol::SlotState state = protocol::SlotState::kLive;
  uint64_t generation = 1;
};

class PageBuilder {
 public:
  PageBuilder() {
    AddExtent();
    Describe(1, protocol::AreaKind::kProcess, 2, 0);
    next_page_ = 3;
    header_.magic = protocol::kLayoutMagic;
    header_.version = protocol::kLayoutVersion;
    header_.pid = 4242;
    header_.parent_pid = 1;
    header_.started_ns = kStartedNs;
    header_.started_realtime_ns = kStartedMs * 1'000'000;
    header_.track = protocol::kTrackAll;
    header_.interval_bytes = 1;
    header_.fixed_interval_bytes = 1;
    header_.sampling_points = 1;
    header_.sampling[0] = {kStartedNs, 1};
    std::strcpy(header_.name, "subject");
    std::strcpy(header_.executable, "/usr/bin/subject");
    SetCommand({"subject", "--flag"});
  }

  protocol::ProcessHeader& header() { return header_; }
  std::vector<uint8_t>& bytes() { return bytes_; }

  void SetCommand(const std::vector<std::string>& arguments) {
    header_.command_bytes = 0;
    for (const std::string& argument : arguments) {
      std::memcpy(header_.command + header_.command_bytes, argument.c_str(), argument.size() + 1);
      header_.command_bytes += static_cast<uint32_t>(argument.size() + 1);
    }
  }

  // File offset of a new area of `pages` pages.
  uint64_t AddArea(protocol::AreaKind kind, uint32_t pages, uint32_t owner = 0) {
    if (next_page_ + pages > protocol::kPagesPerExtent) {
      AddExtent();
      next_page_ = 1;
    }
    Describe(next_page_, kind, pages, owner);
    const uint64_t offset = (extents_ - 1) * protocol::kExtentBytes + next_page_ * protocol::kPageBytes;
    next_page_ += pages;
    return offset;
  }

  // Reference of a new stack.
  uint32_t AddStack(const std::vector<uint64_t>& words, uint32_t parent = 0, uint32_t epoch = 0, uint16_t flags = 0,
                    uint32_t first_tick = 0) {
    protocol::StackRecord record{};
    record.parent = parent;
    record.frames = static_cast<uint16_t>(words.size());
    record.flags = flags;
    record.epoch = epoch;
    record.first_tick = first_tick;
    const uint64_t offset = Append(protocol::AreaKind::kStacks, sizeof(record) + words.size() * sizeof(uint64_t));
    Put(offset, record);
    for (size_t i = 0; i < words.size(); ++i) Put(offset + sizeof(record) + i * sizeof(uint64_t), words[i]);
    return protocol::StackReference(offset);
  }

  uint64_t AddModule(uint64_t start, uint64_t end, uint64_t bias, const std::string& build_id, const std::string& path,
                     uint32_t first_epoch = 0, uint32_t last_epoch = protocol::kEpochStillLoaded) {
    protocol::ModuleRecord record{};
    record.start = start;
    record.end = end;
    record.bias = bias;
    record.first_epoch = first_epoch;
    record.last_epoch = last_epoch;
    record.build_id_bytes = static_cast<uint16_t>(build_id.size());
    record.path_bytes = static_cast<uint16_t>(path.size());
    record.record_bytes = static_cast<uint16_t>((sizeof(record) + build_id.size() + path.size() + 7) / 8 * 8);
    const uint64_t offset = Append(protocol::AreaKind::kModules, record.record_bytes);
    Put(offset, record);
    std::memcpy(bytes_.data() + offset + sizeof(record), build_id.data(), build_id.size());
    std::memcpy(bytes_.data() + offset + sizeof(record) + build_id.size(), path.data(), path.size());
    return offset;
  }

  // File offset of the slot.
  uint64_t AddRecord(const RecordSpec& spec) {
    const uint64_t offset = NextSlot(protocol::AreaKind::kRecords, sizeof(protocol::RecordSlot), 64);
    Put(offset, MakeRecord(spec, ++generation_));
    return offset;
  }

  static protocol::RecordSlot MakeRecord(const RecordSpec& spec, uint64_t sequence) {
    protocol::RecordSlot slot{};
    slot.state = protocol::PackState((sequence << 16) | (spec.thread & 0xFFFF), spec.state);
    slot.size_interval = spec.detached_tid != 0
                             ? protocol::PackDetached(spec.size, spec.detached_tid)
                             : protocol::PackSize(spec.size, protocol::EncodeInterval(spec.interval));
    slot.stack_birth = protocol::PackStack(spec.stack, spec.tick);
    slot.address_kind = protocol::PackAddress(0x5555'0000'0000 + sequence * 64, spec.kind, spec.scope);
    return slot;
  }

  struct TallySpec {
    uint32_t stack = 0;
    protocol::BlockKind kind = protocol::BlockKind::kHeap;
    uint64_t samples = 0, born_bytes = 0;
    double born_count = 0;
    uint64_t died_samples = 0, died_bytes = 0;
    double born_bytes_variance = 0, born_count_variance = 0;
    std::vector<uint32_t> lifetimes = {};
    uint32_t birth_tick = 0;
  };

  uint64_t AddTally(const TallySpec& spec, protocol::AreaKind area = protocol::AreaKind::kThreadTally) {
    protocol::StackTally tally{};
    tally.stack = spec.stack;
    tally.kind_birth = protocol::PackKindBirth(spec.kind, spec.birth_tick);
    tally.samples = spec.samples;
    tally.born_bytes = spec.born_bytes;
    tally.born_count_256 = static_cast<uint64_t>(spec.born_count * 256);
    tally.born_bytes_var = std::bit_cast<uint64_t>(spec.born_bytes_variance);
    tally.born_count_var = std::bit_cast<uint64_t>(spec.born_count_variance);
    tally.died_samples = spec.died_samples;
    tally.died_bytes = spec.died_bytes;
    for (size_t i = 0; i < spec.lifetimes.size(); ++i) tally.lifetimes[i] = spec.lifetimes[i];
    const uint64_t offset = NextSlot(area, sizeof(tally), 1);
    Put(offset, tally);
    return offset;
  }

  uint64_t AddHandle(const HandleSpec& spec, protocol::AreaKind area = protocol::AreaKind::kHandles) {
    const uint64_t offset = NextSlot(area, sizeof(protocol::HandleSlot), 2);
    Put(offset, MakeHandle(spec));
    return offset;
  }

  static protocol::HandleSlot MakeHandle(const HandleSpec& spec) {
    protocol::HandleSlot slot{};
    slot.state = protocol::PackState(spec.generation, spec.state);
    slot.stack_birth = protocol::PackStack(spec.stack, spec.tick);
    slot.fd = spec.fd;
    slot.type = static_cast<uint8_t>(spec.type);
    slot.flags = spec.flags;
    slot.label_bytes = static_cast<uint16_t>(spec.label.size());
    slot.thread = spec.thread;
    slot.inode = spec.inode;
    std::memcpy(slot.label, spec.label.data(), spec.label.size());
    return slot;
  }

  void AddHandleTally(uint32_t stack, uint64_t opened, uint64_t closed, uint64_t peak) {
    Put(NextSlot(protocol::AreaKind::kHandleTally, sizeof(protocol::HandleTally), 1),
        protocol::HandleTally{stack, 1, opened, closed, peak});
  }

  void AddInherited(const protocol::InheritedTally& tally) {
    Put(NextSlot(protocol::AreaKind::kInheritedBlocks, sizeof(tally), 1), tally);
  }

  void AddThread(uint32_t index, uint32_t tid, const std::string& name, uint32_t start_tick, uint32_t end_tick) {
    protocol::ThreadRecord record{};
    record.tid = tid;
    record.index = index;
    record.start_tick = start_tick;
    record.end_tick = end_tick;
    std::memcpy(record.name, name.data(), name.size());
    Put(NextSlot(protocol::AreaKind::kThreads, sizeof(record), 1), record);
  }

  void AddScope(uint32_t index, const std::string& name) {
    protocol::ScopeRecord record{};
    record.index = index;
    std::memcpy(record.name, name.data(), name.size());
    Put(NextSlot(protocol::AreaKind::kScopes, sizeof(record), 1), record);
  }

  template <class T>
  void Put(uint64_t offset, const T& value) {
    std::memcpy(bytes_.data() + offset, &value, sizeof(value));
  }

  // The content so far, header included.
  std::vector<uint8_t> Content() {
    header_.extents = header_extents_override_ != 0 ? header_extents_override_ : static_cast<uint32_t>(extents_);
    Put(protocol::kPageBytes, header_);
    return bytes_;
  }
  void OverrideExtents(uint32_t extents) { header_extents_override_ = extents; }

  // A sealed memfd of the content. `size` cuts or extends it.
  UniqueFd Seal(uint64_t size = 0, unsigned seals = F_SEAL_SHRINK | F_SEAL_SEAL) {
    return SealBytes(Content(), size, seals);
  }

  static UniqueFd SealBytes(const std::vector<uint8_t>& content, uint64_t size = 0,
                            unsigned seals = F_SEAL_SHRINK | F_SEAL_SEAL) {
    UniqueFd fd(::memfd_create("leakhunt", MFD_CLOEXEC | MFD_ALLOW_SEALING));
    const uint64_t length = size == 0 ? content.size() : size;
    const size_t written = std::min<uint64_t>(length, content.size());
    if (!fd.Valid() || ::ftruncate(fd.Get(), static_cast<off_t>(length)) != 0 ||
        ::pwrite(fd.Get(), content.data(), written, 0) != static_cast<ssize_t>(written) ||
        (seals != 0 && ::fcntl(fd.Get(), F_ADD_SEALS, seals) != 0)) {
      std::abort();
    }
    return fd;
  }

 private:
  void AddExtent() {
    bytes_.resize(bytes_.size() + protocol::kExtentBytes);
    protocol::ExtentHeader extent{};
    extent.magic = protocol::kExtentMagic;
    extent.index = static_cast<uint32_t>(extents_);
    Put(extents_ * protocol::kExtentBytes, extent);
    ++extents_;
  }

  void Describe(uint32_t page, protocol::AreaKind kind, uint32_t pages, uint32_t owner) {
    const protocol::PageDescriptor descriptor{protocol::PackDescriptor(kind, pages), owner, 0};
    Put((extents_ - 1) * protocol::kExtentBytes + page * sizeof(descriptor), descriptor);
  }

  struct Cursor {
    uint64_t next = 0, end = 0, area = 0;
  };

  // Room for one slot in the current area of this kind, or in a new one of `pages`.
  uint64_t NextSlot(protocol::AreaKind kind, uint64_t slot_bytes, uint32_t pages) {
    Cursor& cursor = cursors_[static_cast<int>(kind)];
    if (cursor.next + slot_bytes > cursor.end) {
      cursor.next = AddArea(kind, pages, 1);
      cursor.end = cursor.next + pages * protocol::kPageBytes;
    }
    cursor.next += slot_bytes;
    return cursor.next - slot_bytes;
  }

  uint64_t Append(protocol::AreaKind kind, uint64_t bytes) {
    Cursor& cursor = cursors_[static_cast<int>(kind)];
    if (cursor.next + bytes > cursor.end) {
      cursor.area = AddArea(kind, 4);
      cursor.next = cursor.area + sizeof(protocol::AppendHeader);
      cursor.end = cursor.area + 4 * protocol::kPageBytes;
    }
    const uint64_t offset = cursor.next;
    cursor.next += bytes;
    Put(cursor.area, protocol::AppendHeader{cursor.next - cursor.area, 0});
    return offset;
  }

  protocol::ProcessHeader header_{};
  std::vector<uint8_t> bytes_;
  uint64_t extents_ = 0;
  uint32_t next_page_ = 0;
  uint32_t header_extents_override_ = 0;
  uint64_t generation_ = 0;
  std::map<int, Cursor> cursors_;
};

}  // namespace leakhunt::testing
