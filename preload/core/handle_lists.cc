#include "preload/core/handle_lists.h"

#include <fcntl.h>

#include "preload/core/descriptor_kind.h"
#include "preload/core/descriptor_table.h"
#include "preload/core/handles.h"
#include "preload/core/process.h"
#include "preload/sys/atomic.h"
#include "preload/sys/clock.h"
#include "preload/sys/memory.h"
#include "preload/sys/syscall.h"
#include "preload/sys/text.h"
#include "preload/transport/connection.h"

namespace leakhunt::core {

constinit uint32_t g_exit_listed = 0;

namespace {

using protocol::AreaKind;
using protocol::HandleSlot;
using protocol::HandleType;
using protocol::SlotState;

constexpr uint32_t kMostAtStart = 4096;
constexpr uint32_t kMostAtExit = 64 * 1024;  // 8 MiB of pages, some 10 ms
constexpr uint64_t kAskingNs = 2'000'000;    // how long a list may ask the kernel for details
constexpr uint32_t kMaxAreas = 1 + kMostAtExit / 512;

// Slots of one list, in areas of its own.
class SlotList {
 public:
  explicit constexpr SlotList(AreaKind kind) : kind_(kind) {}

  // The next slot to fill, null at a bound.
  HandleSlot* Next() {
    if (used_ == InArea(area_)) {
      if (area_ + 1 == kMaxAreas) return nullptr;
      ++area_;
      used_ = 0;
    }
    transport::Area* area = &areas_[area_];
    if (area->start == nullptr) *area = g_process.pages->Allocate(kind_, area_ == 0 ? 1 : 16, 0);
    if (area->start == nullptr) return nullptr;
    return reinterpret_cast<HandleSlot*>(area->start) + used_++;
  }
  // The same slots again.
  void Rewind() { area_ = used_ = 0; }

  // Calls visit for each slot handed out since the last Rewind.
  template <typename Visit>
  void ForEach(Visit visit) {
    for (uint32_t a = 0; a <= area_; ++a) {
      uint32_t count = a == area_ ? used_ : InArea(a);
      for (uint32_t i = 0; i < count && areas_[a].start != nullptr; ++i) visit(reinterpret_cast<HandleSlot*>(areas_[a].start) + i);
    }
  }
  // For a forked child: the areas are the parent's.
  void Forget() {
    for (auto& area : areas_) area = {};
    Rewind();
  }

 private:
  static uint32_t InArea(uint32_t index) { return (index == 0 ? 1 : 16) * protocol::kPageBytes / sizeof(HandleSlot); }

  AreaKind kind_;
  uint32_t area_ = 0, used_ = 0;
  transport::Area areas_[kMaxAreas] = {};
};
constinit SlotList g_inherited_list{AreaKind::kInheritedHandles};
constinit SlotList g_exit_list{AreaKind::kHandlesAtExit};

void Fill(HandleSlot* slot, int fd, const DescriptorKind& kind, SlotState state) {
  uint64_t generation = protocol::GenerationOf(slot->state) + 1;
  sys::StoreRelaxed(&slot->state, protocol::PackState(generation, SlotState::kFilling));
  sys::StoreRelease(&slot->stack_birth, protocol::PackStack(0, 1));
  slot->fd = fd;
  slot->type = static_cast<uint8_t>(kind.type);
  slot->flags = 0;
  slot->thread = 0;
  slot->tally = 0;
  slot->inode = kind.inode;
  slot->label_bytes = static_cast<uint16_t>(sys::Length(kind.link));
  sys::Copy(slot->label, kind.link, slot->label_bytes);
  sys::StoreRelease(&slot->state, protocol::PackState(generation, state));  // partner: the collector's sweep
}

struct DirectoryEntry {  // linux_dirent64
  uint64_t inode;
  int64_t next;
  uint16_t bytes;
  uint8_t type;
  char name[];
};

// Calls visit(fd) for each open descriptor but leakhunt's; stops when it says false. False: stopped, or no /proc.
template <typename Visit>
bool ForEachOpen(Visit visit) {
  long directory = sys::Open(sys::kOwnDescriptors, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (sys::Failed(directory)) return false;
  alignas(8) char buffer[4096];
  bool whole = true;
  for (;;) {
    long bytes = sys::Call(SYS_getdents64, directory, sys::Word(buffer), sizeof(buffer));
    if (bytes <= 0) {
      whole = whole && bytes == 0;
      break;
    }
    for (long at = 0; at < bytes && whole;) {
      const auto* entry = reinterpret_cast<const DirectoryEntry*>(buffer + at);
      at += entry->bytes;
      if (entry->name[0] < '0' || entry->name[0] > '9') continue;
      int fd = 0;
      for (const char* c = entry->name; *c != 0; ++c) fd = fd * 10 + (*c - '0');
      if (fd != directory && !transport::IsOwnDescriptor(fd)) whole = visit(fd);
    }
    if (!whole) break;
  }
  sys::Close(static_cast<int>(directory));
  return whole;
}

// Asks the kernel while there is time.
class Asking {
 public:
  DescriptorKind Ask(int fd) {
    DescriptorKind kind;
    if (asked_ % 32 == 0) in_time_ = in_time_ && sys::MonotonicNs() < deadline_ns_;
    ++asked_;
    if (in_time_) AskDescriptorKind(fd, &kind);
    return kind;
  }

 private:
  uint64_t deadline_ns_ = sys::MonotonicNs() + kAskingNs;
  uint32_t asked_ = 0;
  bool in_time_ = true;
};

void PutInherited(int fd, const DescriptorKind& kind) {
  HandleSlot* slot = g_inherited_list.Next();
  uint64_t* word = slot == nullptr ? nullptr : EnsureDescriptor(fd);
  if (word == nullptr) return;
  Fill(slot, fd, kind, SlotState::kLive);
  ExchangeDescriptor(word, PackEntry(slot, g_process.generation, kind.type, true));
}

// What the parent's slot said of a handle. The parent goes on and may have reused the slot: then only the type counts.
DescriptorKind ParentsKind(int fd, DescriptorEntry entry) {
  DescriptorKind kind;
  kind.type = entry.Type();
  const HandleSlot* slot = entry.Slot();
  if (slot->fd != fd || protocol::StateOf(sys::LoadAcquire(&slot->state)) != SlotState::kLive) return kind;
  uint32_t bytes = slot->label_bytes <= protocol::kLabelBytes ? slot->label_bytes : 0;
  sys::Copy(kind.link, slot->label, bytes);
  kind.link[bytes] = 0;
  if (entry.Inherited()) kind.inode = slot->inode;
  return kind;
}

}  // namespace

void ListInheritedDescriptors() {
  Asking asking;
  uint32_t left = kMostAtStart;
  ForEachOpen([&](int fd) {
    PutInherited(fd, asking.Ask(fd));
    return --left != 0;
  });
}

void ListParentsHandles() {
  g_inherited_list.Forget();
  g_exit_list.Forget();
  g_exit_listed = 0;
  uint32_t left = kMostAtStart;
  for (int fd = NextDescriptor(0, 0x7FFF'FFFE); fd >= 0; fd = NextDescriptor(fd + 1, 0x7FFF'FFFE)) {
    DescriptorEntry entry = TakeDescriptor(fd);
    if (!entry || left == 0) continue;
    --left;
    PutInherited(fd, ParentsKind(fd, entry));
  }
}

void ListDescriptorsAtExit() {
  sys::StoreRelaxed(&g_exit_listed, 0u);
  g_exit_list.ForEach([](HandleSlot* slot) { sys::StoreRelease(&slot->state, protocol::PackState(protocol::GenerationOf(slot->state), SlotState::kDead)); });
  g_exit_list.Rewind();
  Asking asking;
  uint32_t left = kMostAtExit;
  bool whole = ForEachOpen([&](int fd) {
    HandleSlot* slot = left-- == 0 ? nullptr : g_exit_list.Next();
    if (slot == nullptr) return false;
    DescriptorKind kind = asking.Ask(fd);
    if (kind.type == HandleType::kOther) kind.type = LoadDescriptor(fd).Type();
    Fill(slot, fd, kind, SlotState::kFilling);
    return true;
  });
  if (whole) {
    g_exit_list.ForEach([](HandleSlot* slot) { sys::StoreRelease(&slot->state, protocol::PackState(protocol::GenerationOf(slot->state), SlotState::kLive)); });
    __atomic_store_n(&g_exit_listed, 1u, __ATOMIC_SEQ_CST);
  }
  OpeningsAreUsual();
}

void ExitListClosing(int fd) {
  g_exit_list.ForEach([&](HandleSlot* slot) {
    if (slot->fd != fd) return;
    sys::StoreRelease(&slot->state, protocol::PackState(protocol::GenerationOf(slot->state), SlotState::kDead));
  });
}

}  // namespace leakhunt::core
