// The handles the guest has recorded: what its slots and lists say, before anybody asks the kernel.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "collector/ledger/key_index.h"
#include "collector/ledger/page_directory.h"
#include "collector/ledger/page_file.h"
#include "collector/ledger/slot_copier.h"
#include "collector/snapshot/model.h"

namespace leakhunt::ledger {

struct RecordedHandle {
  uint64_t id = 0;  // slot and generation: one opening, whatever its descriptor's number
  int fd = -1;
  uint32_t stack = 0;
  uint32_t birth_tick = 0;
  uint32_t thread_index = 0;
  snapshot::HandleType type = snapshot::HandleType::kOther;
  uint64_t inode = 0;  // 0 unknown
  std::string label;  // empty beyond the first kLabelsKept of a capture
};

// Sets of descriptor numbers and slots, without std::unordered_set's weakness for chosen keys.
class NumberSet {
 public:
  void Add(uint64_t number) { index_.FindOrAdd(number); }
  bool Has(uint64_t number) const { return index_.Find(number) != KeyIndex::kAbsent; }
  bool Empty() const { return index_.size() == 0; }

 private:
  KeyIndex index_;
};

struct HandleSighting {
  std::vector<RecordedHandle> live;
  std::vector<RecordedHandle> inherited;  // open when the image started and not seen closing
  std::vector<RecordedHandle> at_exit;    // what the guest found open when the image ended
  NumberSet own_fds;                      // leakhunt's
  NumberSet closed_fds;                   // numbers whose slot shows a handle that was closed
  std::vector<std::pair<uint32_t, snapshot::HandleType>> closed_types;  // (stack, type) of closed ones, for naming rows
  uint64_t refused = 0;
};

// Labels are a hundred bytes each, and people read the first few of a site: as many are kept in one capture.
inline constexpr size_t kLabelsKept = size_t{1} << 16;

inline constexpr size_t kMaxHandles = size_t{1} << 20;  // the kernel's own default bound for a process

// Each list takes at most `most`: what the process may have open at a time (RLIMIT_NOFILE). All three together take at
// most `most_of_all`. What is beyond is counted as refused.
HandleSighting ReadHandles(SlotCopier* copier, const PageDirectory& directory, size_t most, size_t most_of_all = kMaxHandles);

// Opened and closed per stack, summed.
struct HandleTotalsOfStack {
  uint32_t stack = 0;  // guest's reference
  uint64_t opened = 0, closed = 0, peak = 0;
  snapshot::HandleType type = snapshot::HandleType::kOther;  // of the first one, when the guest said
};
std::vector<HandleTotalsOfStack> ReadHandleTallies(const PageFile& file, const PageDirectory& directory);

}  // namespace leakhunt::ledger
