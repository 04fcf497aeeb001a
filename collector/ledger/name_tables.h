// Threads and scopes of the recorded process: small tables of names that rows point into.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "collector/ledger/key_index.h"
#include "collector/ledger/page_directory.h"
#include "collector/ledger/page_file.h"
#include "collector/ledger/process_clock.h"
#include "collector/snapshot/model.h"

namespace leakhunt::ledger {

class ThreadTable {
 public:
  // Takes in the threads that the process has by now. Indices stay as they are.
  void Refresh(const PageFile& file, const PageDirectory& directory, const ProcessClock& clock);

  // Index into the snapshot's threads. A thread index nobody described (0: unknown or several) gets a nameless entry.
  uint32_t IndexOf(uint32_t thread_index);

  void MoveInto(snapshot::Snapshot* out) { out->threads = std::move(threads_); }

 private:
  KeyIndex indices_;
  std::vector<snapshot::Thread> threads_;
};

class ScopeTable {
 public:
  ScopeTable();

  // Takes in the scopes that the process has by now. Indices stay as they are.
  void Refresh(const PageFile& file, const PageDirectory& directory);

  // Index into the snapshot's scopes; 0 for 0. A scope nobody named is called "scope N".
  uint32_t IndexOf(uint32_t scope);

  void MoveInto(snapshot::Snapshot* out) { out->scopes = std::move(names_); }

 private:
  KeyIndex indices_;
  std::vector<std::string> names_;
};

}  // namespace leakhunt::ledger
