// Totals per stack: the guest's monotone tallies, summed over all threads.
//
// Read before and after the sweep of a live process; the difference is what was born and died meanwhile. There may be a
// hundred thousand stacks: of the first reading only what the difference needs is kept.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <utility>
#include <vector>

#include "collector/ledger/key_index.h"
#include "collector/ledger/lifetime_counts.h"
#include "collector/ledger/page_directory.h"
#include "collector/ledger/page_file.h"
#include "collector/ledger/stack_parts.h"
#include "preload/protocol/layout.h"

namespace leakhunt::ledger {

// The guest's stack reference and block kind, as one key.
constexpr uint64_t StackKindKey(uint32_t stack, protocol::BlockKind kind) {
  return stack | (static_cast<uint64_t>(kind) << 32);
}
constexpr uint32_t StackOfKey(uint64_t key) { return static_cast<uint32_t>(key); }
constexpr protocol::BlockKind KindOfKey(uint64_t key) { return static_cast<protocol::BlockKind>((key >> 32) & 0xF); }

struct TallySum {
  uint64_t samples = 0;
  double born_bytes = 0;
  double born_count = 0;
  double born_bytes_variance = 0;
  double born_count_variance = 0;
  uint64_t died_samples = 0;
  double died_bytes = 0;
  double may_be_more = 0;        // born_bytes could be higher by this: set where it is not the guest's figure
  uint32_t last_birth_tick = 0;  // at most protocol::kTallyBirthTicks too early
  LifetimeCounts lifetimes;

  // Deaths as blocks: the guest counts them raw; each is taken to weigh what the stack's births do on average.
  double DiedCount() const {
    return samples == 0 ? 0 : static_cast<double>(died_samples) * (born_count / static_cast<double>(samples));
  }
};

// Born and died of one stack up to a moment.
struct TallyMark {
  double born_bytes = 0, born_count = 0, died_bytes = 0, died_count = 0;
};

// Numbers of the pages that may have tallies (holes have none), in rising order within threads' and shared ones.
std::vector<uint32_t> TallyPages(const PageFile& file, const PageDirectory& directory);

// Calls visit(const protocol::StackTally&) for every tally in use in the page, unchecked.
void ForEachTally(const PageFile& file, uint32_t page, const std::function<void(const protocol::StackTally&)>& visit);

class TallySums {
 public:
  // Of the stacks in `range` as far as `pages` have them.
  static TallySums Read(const PageFile& file, std::span<const uint32_t> pages, StackRange range);

  uint32_t size() const { return index_.size(); }
  uint64_t KeyAt(uint32_t number) const { return index_.KeyAt(number); }
  const TallySum& At(uint32_t number) const { return sums_[number]; }

  // The sums themselves, by number; afterwards there are none here.
  std::vector<TallySum> TakeSums() { return std::move(sums_); }

  // Entries refused: no such kind, or sums that are no numbers.
  uint64_t refused() const { return refused_; }

 private:
  void Add(const protocol::StackTally& tally);

  friend class TallyMarks;

  KeyIndex index_;
  std::vector<TallySum> sums_;
  uint64_t refused_ = 0;
};

// The first of two readings.
class TallyMarks {
 public:
  TallyMarks() = default;
  explicit TallyMarks(TallySums sums);

  // What had been born and died of the stack; nothing when it had no tally.
  TallyMark Find(uint64_t stack_kind) const;

 private:
  KeyIndex index_;
  std::vector<TallyMark> marks_;
};

TallyMark MarkOf(const TallySum& sum);

// Born and died between two readings of a live process.
struct Moved {
  double born_bytes = 0, born_count = 0, died_bytes = 0, died_count = 0;
};
Moved MovedBetween(const TallyMark& before, const TallyMark& after);

}  // namespace leakhunt::ledger
