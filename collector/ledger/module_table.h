// Which loaded object an address of a stack belonged to, at the time the stack was taken.
#pragma once

#include <cstdint>
#include <vector>

#include "collector/ledger/page_directory.h"
#include "collector/ledger/page_file.h"
#include "collector/snapshot/model.h"

namespace leakhunt::ledger {

class ModuleTable {
 public:
  // Reads the module areas. Records that are inconsistent end their area and are counted.
  static ModuleTable Read(const PageFile& file, const PageDirectory& directory);

  // Index of the module that held `address` in `epoch`, or snapshot::kNoModule. The newest one wins where two claim it.
  uint32_t Find(uint64_t address, uint32_t epoch) const;

  // In the order of their starts.
  const std::vector<snapshot::Module>& modules() const { return modules_; }

  // The name by which a module is the same in another process or snapshot: its build-id, else its path.
  const std::string& Identity(uint32_t module) const;

  bool StillLoaded(uint32_t module) const;
  uint32_t FirstEpoch(uint32_t module) const { return epochs_[module].first; }

  uint64_t refused() const { return refused_; }

 private:
  struct Entry {
    snapshot::Module module;
    uint32_t first_epoch = 0;
    uint32_t last_epoch = 0;
  };

  void ReadArea(const std::vector<uint8_t>& area, uint64_t used_bytes, std::vector<Entry>* entries);
  void Index(std::vector<Entry> entries);
  size_t FirstAtStart(size_t module) const;

  std::vector<snapshot::Module> modules_;
  struct Epochs {
    uint32_t first, last;
  };
  std::vector<Epochs> epochs_;         // by module
  std::vector<uint64_t> highest_end_;  // of this module and all before it
  uint64_t refused_ = 0;
};

}  // namespace leakhunt::ledger
