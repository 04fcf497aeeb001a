// Which recorded threads are alive. A joinable thread's record stands until it is joined. A detached thread ends without a
// call, so its record counts while the kernel lists the thread.
#pragma once

#include <cstdint>
#include <vector>

#include "collector/ledger/process_clock.h"
#include "preload/protocol/layout.h"

namespace leakhunt::ledger {

// The threads of a process, as the kernel listed them.
struct ThreadList {
  std::vector<uint32_t> tids;  // ascending, in the process's own pid namespace
  int64_t listed_ms = 0;       // Unix milliseconds, just before the listing
};

class LivingThreads {
 public:
  // `list` may be null: not known, then every record stands. `clock`: of the process.
  LivingThreads(const ThreadList* list, const ProcessClock& clock);

  // Of a slot of kind kThread. A thread that was born after the listing stands.
  bool Hold(const protocol::RecordSlot& slot) const;

 private:
  const ThreadList* list_;
  uint32_t listed_tick_ = 0;
};

}  // namespace leakhunt::ledger
