#include "preload/core/thinning.h"

#include "preload/core/governor.h"
#include "preload/core/process.h"
#include "preload/core/tracker.h"
#include "preload/protocol/thinning.h"
#include "preload/sys/atomic.h"

namespace leakhunt::core {
namespace {

using protocol::RecordSlot;
using protocol::SlotState;

constexpr uint64_t kFirstFloorBytes = 1024;

void RaiseFloor() {
  protocol::ProcessHeader* header = Header();
  uint64_t now = sys::LoadRelaxed(&g_process.interval_bytes);
  uint64_t floor = sys::LoadRelaxed(&header->floor_interval_bytes);
  uint64_t raised = (floor > now ? floor : now) * 2;
  if (raised < kFirstFloorBytes) raised = kFirstFloorBytes;
  if (raised > (uint64_t{1} << 31)) return;
  raised = protocol::DecodeInterval(protocol::EncodeInterval(raised));
  sys::StoreRelaxed(&header->floor_interval_bytes, static_cast<uint32_t>(raised));
  SetInterval(raised);
}

// Drops one record if the rule says so. The live table decides who owns it: a free that is under way wins.
bool ThinSlot(RecordSlot* slot, uint64_t file_offset, uint64_t floor) {
  uint64_t state = sys::LoadAcquire(&slot->state);
  if (protocol::StateOf(state) != SlotState::kLive) return false;
  uint64_t size = protocol::SizeOf(slot->size_interval);
  uint64_t drawn = protocol::DecodeInterval(protocol::IntervalCodeOf(slot->size_interval));
  if (protocol::KindOf(slot->address_kind) != protocol::BlockKind::kHeap) return false;
  if (protocol::KeepAtFloor(file_offset, protocol::GenerationOf(state), Sampler::Probability(size, drawn),
                            Sampler::Probability(size, floor))) {
    return false;
  }
  uint64_t address = protocol::AddressOf(slot->address_kind);
  LiveTable::Entry entry = g_process.live.Of(address).Claim(address);
  if (!entry) return false;
  if (uint64_t{entry.payload->slot} * sizeof(RecordSlot) != file_offset) {
    LiveTable::Publish(entry, address);
    return false;
  }
  sys::StoreRelease(&slot->state, protocol::PackState(protocol::GenerationOf(state), SlotState::kThinned));
  g_filter.Remove(address);
  LiveTable::Release(entry);
  return true;
}

}  // namespace

void ThinRuns(ThreadState* state) {
  uint64_t total = 0;
  for (uint32_t r = 0; r < state->run_count; ++r) total += state->runs[r].count;
  for (int round = 0; round < 8; ++round) {
    uint64_t floor = sys::LoadRelaxed(&Header()->floor_interval_bytes);
    uint64_t thinned = 0;
    for (uint32_t r = 0; floor != 0 && r < state->run_count; ++r) {
      Run& run = state->runs[r];
      for (uint32_t i = 0; i < run.count; ++i) {
        thinned += ThinSlot(&run.slots[i], run.file_offset + i * sizeof(RecordSlot), floor) ? 1 : 0;
      }
    }
    if (thinned * 4 >= total && thinned > 0) return;
    RaiseFloor();
  }
}

}  // namespace leakhunt::core
