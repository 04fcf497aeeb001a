// Live blocks per call site: what one sweep over all record slots adds up.
//
// Blocks are added to their site and forgotten; memory is by site, not by block. A site here is (stack reference,
// kind, scope) as the guest wrote them; merging stacks of equal content comes later (site_rows.h).
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "collector/ledger/key_index.h"
#include "collector/ledger/living_threads.h"
#include "collector/ledger/mapping_memory.h"
#include "collector/ledger/page_directory.h"
#include "collector/ledger/process_clock.h"
#include "collector/ledger/slot_copier.h"
#include "collector/ledger/stack_parts.h"
#include "collector/ledger/weight.h"
#include "collector/snapshot/model.h"
#include "preload/protocol/layout.h"

namespace leakhunt::ledger {

constexpr uint64_t SiteKey(uint32_t stack, protocol::BlockKind kind, uint32_t scope) {
  return stack | (static_cast<uint64_t>(kind) << 32) | (static_cast<uint64_t>(scope) << 36);
}
constexpr uint32_t ScopeOfKey(uint64_t key) { return static_cast<uint32_t>(key >> 36); }

struct CohortSum {
  uint64_t samples = 0;
  double bytes = 0;
  double count = 0;
};

// Occupied cohorts only, in order: bit c of the mask says that cohort c has an entry.
struct CohortSums {
  uint64_t occupied = 0;
  std::vector<CohortSum> sums;

  CohortSum& At(uint32_t cohort);
  void Merge(const CohortSums& other);
};

struct ThreadSum {
  uint32_t thread_index = 0;
  double bytes = 0;
  double count = 0;
};

struct SiteSum {
  snapshot::Weighted bytes;
  snapshot::Weighted count;
  double reserved_bytes = 0;  // address space of mappings and threads
  uint32_t first_birth_tick = 0xFFFF'FFFF;
  uint32_t last_birth_tick = 0;
  CohortSums cohorts;
  std::vector<ThreadSum> threads;  // the largest

  void Merge(const SiteSum& other);
};

inline constexpr size_t kThreadsKept = 8;

// Keeps the `kThreadsKept` largest by bytes, then count, largest first.
void KeepLargest(std::vector<ThreadSum>* threads);

// Adds `other` to `sum` as snapshot::Weighted defines it.
void AddWeighted(snapshot::Weighted* sum, const snapshot::Weighted& other);

class BlockSums {
 public:
  // What tells a record's worth beside the record itself.
  struct Knowledge {
    uint64_t floor_interval_bytes = 0;  // T_floor of the header
    MappingMemory* memory = nullptr;    // what mappings and stacks hold
    const LivingThreads* threads = nullptr;  // which threads count; null: all
  };

  // Sweeps every record area for the blocks of the stacks in `range`.
  static BlockSums Sweep(SlotCopier* copier, const PageDirectory& directory, StackRange range, const ProcessClock& clock,
                         const Knowledge& knowledge);

  uint32_t size() const { return index_.size(); }
  uint64_t KeyAt(uint32_t number) const { return index_.KeyAt(number); }

  // The sums themselves, by number; afterwards there are none here.
  std::vector<SiteSum> TakeSums() { return std::move(sums_); }

  // T_floor they were weighed with.
  uint64_t floor_interval_bytes() const { return knowledge_.floor_interval_bytes; }

  // Records refused: no such kind or state.
  uint64_t refused() const { return refused_; }

 private:
  BlockSums(const ProcessClock& clock, const Knowledge& knowledge)
      : clock_(clock), knowledge_(knowledge), heap_weigher_(knowledge.floor_interval_bytes) {}

  void Add(uint64_t offset, const protocol::RecordSlot& slot);
  void KeepThread(uint64_t offset, protocol::RecordSlot slot);
  void AddHeap(uint64_t offset, const protocol::RecordSlot& slot);
  void AddMapping(uint64_t offset, const protocol::RecordSlot& slot);
  void AddDated(uint32_t number, const protocol::RecordSlot& slot, const BlockWeight& weight);
  uint32_t SiteOf(const protocol::RecordSlot& slot);
  void AddToThread(uint32_t site, uint32_t thread, const BlockWeight& weight);
  void ShareOutThreads();

  ProcessClock clock_;
  Knowledge knowledge_;
  RecordWeigher heap_weigher_;
  std::vector<std::pair<uint64_t, protocol::RecordSlot>> waiting_threads_;  // until every mapping is known
  KeyIndex index_;
  std::vector<SiteSum> sums_;
  KeyIndex more_threads_;  // (site, thread) beyond the first threads of a site
  std::vector<ThreadSum> more_sums_;
  uint64_t refused_ = 0;
};

}  // namespace leakhunt::ledger
