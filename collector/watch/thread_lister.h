// The threads of a process, by the tids that they have themselves.
#pragma once

#include <cstdint>
#include <map>

#include "collector/ledger/living_threads.h"
#include "collector/watch/proc_directory.h"

namespace leakhunt::watch {

class ThreadLister {
 public:
  // Lists them anew; keeps the last list where the process is gone or may not be read. One directory; where the process
  // has a pid namespace of its own, one file more for each new thread.
  void Read(const ProcDirectory& process, int64_t now_ms);

  // As last listed; null: never.
  const ledger::ThreadList* Last() const { return list_.tids.empty() ? nullptr : &list_; }

 private:
  std::map<uint32_t, uint32_t> InnerTids(const ProcDirectory& process, const std::vector<int>& tids) const;

  ledger::ThreadList list_;
  std::map<uint32_t, uint32_t> inner_;  // by tid here: that in the process's namespace, where they differ
};

}  // namespace leakhunt::watch
