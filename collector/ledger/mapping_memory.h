// What each recorded mapping and thread stack holds in memory, remembered from capture to capture.
//
// A record says where a mapping lies and how large it is; how much of it is in memory only the kernel knows, and only
// while the process lives. What was read last stands for a process that is gone, and what was read of a mapping that is
// gone by now stays in its stack's total.
//
// One capture: Begin, Of for every live record (again after a second sweep: the same answer), then End. Event loop only.
#pragma once

#include <cstdint>
#include <unordered_map>
#include <vector>

#include "collector/ledger/residency.h"
#include "preload/protocol/layout.h"

namespace leakhunt::ledger {

struct AddressRange {
  uint64_t start = 0, end = 0;
};

class MappingMemory {
 public:
  // `residency` may be null: the process is gone or may not be read. `most_unread_bytes`: what records that were never
  // read are taken to hold together, at most: as much of their size as others of their stack held, or all of it. (Their true
  // figure lies between nothing and their size.)
  void Begin(const Residency* residency, double most_unread_bytes);

  // Of a live record of a mapping or a thread at `slot_offset` of the pages. Threads after the mappings: a stack that
  // lies in a mapping of the program's own is that mapping's memory, and the thread holds nothing.
  InMemory Of(uint64_t slot_offset, const protocol::RecordSlot& slot);

  // Drops what was not asked for since Begin. To be left out when a capture failed.
  void End();

  // What mappings made at this stack (StackKindKey) held when it was last read, those that are gone included; and the
  // sizes of the mappings that were read.
  struct Totals {
    double bytes = 0, read_sizes = 0;
  };
  Totals TotalsOf(uint64_t stack_kind) const;

  // Some figure of the last capture is not the kernel's.
  bool Unread() const { return unread_; }

  // The mappings of the last capture, without threads' stacks.
  std::vector<AddressRange> Mappings() const;

 private:
  struct Entry {
    uint64_t generation = 0;
    uint64_t capture = 0;  // the last that met it
    bool thread = false;
    uint64_t stack_kind = 0;
    AddressRange range;    // whole pages
    double size = 0;       // as recorded
    InMemory now;
    double most = 0;       // highest figure so far
    double read_size = 0;  // size at the last reading; 0 = never read
  };

  AddressRange RangeOf(const protocol::RecordSlot& slot) const;
  bool InsideMapping(const AddressRange& range);
  void Read(Entry* entry);
  void Guess(Entry* entry);

  const Residency* residency_ = nullptr;
  double unread_left_ = 0;
  bool unread_ = false;
  uint64_t capture_ = 0;
  std::unordered_map<uint64_t, Entry> entries_;  // by slot offset
  std::unordered_map<uint64_t, Totals> totals_;  // by stack and kind
  std::vector<AddressRange> sorted_;             // mappings, made when a thread asks
};

}  // namespace leakhunt::ledger
