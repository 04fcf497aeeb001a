// The live blocks of the process: several live tables, chosen by the region an address lies in.
//
// Allocators give threads memory of regions of their own (glibc's arenas, 64 MiB each; segments elsewhere), so that
// threads that do not share blocks rarely share a table: with one table their blocks lay in the same cache lines, and a
// block cost half as much again in two threads as in one. Tables that nothing lies in take no memory.
#pragma once

#include <cstdint>

#include "preload/core/live_table.h"

namespace leakhunt::core {

class LiveBlocks {
 public:
  LiveTable& Of(uint64_t address) { return tables_[((address >> kRegionBits) * 0x9E37'79B9'7F4A'7C15u) >> (64 - kTableBits)]; }

  bool Create(uint32_t generation) {
    bool all = true;
    for (LiveTable& table : tables_) all = all && table.Create(generation);
    return all;
  }
  void SetFinishTaken(void (*finish)(const Payload&)) {
    for (LiveTable& table : tables_) table.finish_taken = finish;
  }
  template <typename Visit>
  void ForEach(Visit visit) const {
    for (const LiveTable& table : tables_) table.ForEach(visit);
  }
  void AfterFork(uint32_t generation) {
    for (LiveTable& table : tables_) table.AfterFork(generation);
  }

 private:
  static constexpr uint32_t kRegionBits = 26, kTableBits = 3;

  LiveTable tables_[1u << kTableBits];
};

}  // namespace leakhunt::core
