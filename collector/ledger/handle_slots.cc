#include "collector/ledger/handle_slots.h"

#include <algorithm>

#include "collector/ledger/published_entries.h"
#include "preload/protocol/layout.h"

namespace leakhunt::ledger {

namespace {

constexpr size_t kMaxClosedTypes = 1u << 16;
constexpr size_t kMaxTallies = 1u << 18;

static_assert(protocol::kHandleTypes == snapshot::kHandleTypes);

bool Counts(protocol::SlotState state) {
  return state == protocol::SlotState::kLive || state == protocol::SlotState::kResizing;
}

// Slot numbers fit 28 bits; 36 bits of generation outlast any recording.
uint64_t IdOf(uint64_t offset, uint64_t state) {
  return ((offset / sizeof(protocol::HandleSlot)) << 36) | (protocol::GenerationOf(state) & ((uint64_t{1} << 36) - 1));
}

RecordedHandle FromSlot(uint64_t offset, const protocol::HandleSlot& slot) {
  RecordedHandle handle;
  handle.id = IdOf(offset, slot.state);
  handle.fd = slot.fd;
  handle.stack = protocol::StackOf(slot.stack_birth);
  handle.birth_tick = protocol::BirthTickOf(slot.stack_birth);
  handle.thread_index = slot.thread;
  handle.type = static_cast<snapshot::HandleType>(slot.type);
  handle.inode = slot.inode;
  return handle;
}

bool Valid(const protocol::HandleSlot& slot) { return slot.type < protocol::kHandleTypes && slot.fd >= 0; }

// What the lists of one capture may still take.
class Room {
 public:
  Room(size_t most, size_t most_of_all) : most_(most), most_of_all_(most_of_all) {}

  // False, and nothing added: there is none.
  bool Add(uint64_t offset, const protocol::HandleSlot& slot, std::vector<RecordedHandle>* list) {
    if (list->size() >= most_ || taken_ >= most_of_all_) return false;
    list->push_back(FromSlot(offset, slot));
    if (taken_++ < kLabelsKept) {
      list->back().label.assign(slot.label, std::min<size_t>(slot.label_bytes, protocol::kLabelBytes));
    }
    return true;
  }

 private:
  size_t most_, most_of_all_;
  size_t taken_ = 0;
};

// Live entries of one kind of area that are not leakhunt's. `closed_fds` (may be null) takes the numbers of dead ones.
std::vector<RecordedHandle> ReadList(SlotCopier* copier, const PageDirectory& directory, protocol::AreaKind kind,
                                     Room* room, NumberSet* closed_fds, uint64_t* refused) {
  std::vector<RecordedHandle> handles;
  for (const Area& area : directory.Areas(kind)) {
    copier->ForEach<protocol::HandleSlot>(area, [&](uint64_t offset, const protocol::HandleSlot& slot) {
      const protocol::SlotState state = protocol::StateOf(slot.state);
      const bool dead = state == protocol::SlotState::kDead && Valid(slot);
      if (dead && closed_fds != nullptr) closed_fds->Add(static_cast<uint64_t>(slot.fd));
      if (!Counts(state) || (slot.flags & protocol::kHandleOwn) != 0) return;
      if (!Valid(slot) || !room->Add(offset, slot, &handles)) ++*refused;
    });
  }
  return handles;
}

void AddSlot(uint64_t offset, const protocol::HandleSlot& slot, Room* room, HandleSighting* seen) {
  if (!Valid(slot)) {
    if (Counts(protocol::StateOf(slot.state))) ++seen->refused;
    return;
  }
  if (protocol::StateOf(slot.state) == protocol::SlotState::kDead) {
    seen->closed_fds.Add(static_cast<uint64_t>(slot.fd));
    if (seen->closed_types.size() < kMaxClosedTypes) {
      const auto type = static_cast<snapshot::HandleType>(slot.type);
      seen->closed_types.emplace_back(protocol::StackOf(slot.stack_birth), type);
    }
  }
  if (!Counts(protocol::StateOf(slot.state))) return;
  if ((slot.flags & protocol::kHandleOwn) != 0) {
    seen->own_fds.Add(static_cast<uint64_t>(slot.fd));
  } else if (!room->Add(offset, slot, &seen->live)) {
    ++seen->refused;
  }
}

}  // namespace

HandleSighting ReadHandles(SlotCopier* copier, const PageDirectory& directory, size_t most, size_t most_of_all) {
  HandleSighting seen;
  Room room(most, most_of_all);
  for (const Area& area : directory.Areas(protocol::AreaKind::kHandles)) {
    copier->ForEach<protocol::HandleSlot>(
        area, [&](uint64_t offset, const protocol::HandleSlot& slot) { AddSlot(offset, slot, &room, &seen); });
  }
  seen.inherited = ReadList(copier, directory, protocol::AreaKind::kInheritedHandles, &room, &seen.closed_fds,
                            &seen.refused);
  seen.at_exit = ReadList(copier, directory, protocol::AreaKind::kHandlesAtExit, &room, nullptr, &seen.refused);
  return seen;
}

std::vector<HandleTotalsOfStack> ReadHandleTallies(const PageFile& file, const PageDirectory& directory) {
  std::vector<HandleTotalsOfStack> totals;
  ForEachPublished(
      file, directory, protocol::AreaKind::kHandleTally, &protocol::HandleTally::used,
      [&](const protocol::HandleTally& tally) {
        if (totals.size() >= kMaxTallies) return;
        const uint32_t type = (tally.used >> 8) & 0xFF;
        totals.push_back({tally.stack, tally.opened, tally.closed, tally.peak});
        if (type >= 1 && type <= protocol::kHandleTypes) totals.back().type = static_cast<snapshot::HandleType>(type - 1);
      });
  return totals;
}

}  // namespace leakhunt::ledger
