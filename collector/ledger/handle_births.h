// When each handle was opened, where the guest's own date may be too early.
//
// A thread that opens many handles in one tick reads the clock for one in 32 of them at least (governor.h,
// GrantOpenings), so what it opens next, after however long a pause, may carry the date of that burst. But a handle that was not there
// when the slots were last read has been opened since: its date is never earlier than that reading.
#pragma once

#include <cstdint>
#include <vector>

#include "collector/ledger/handle_slots.h"
#include "collector/ledger/key_index.h"

namespace leakhunt::ledger {

class HandleBirths {
 public:
  // Mends the births of `seen.live`, but at the first call, which has no reading before it. `begun_tick`: no later than the first
  // slot of `seen` was read, by the wall clock; where that is set back, the next call mends less.
  void Mend(HandleSighting* seen, uint32_t begun_tick);

 private:
  KeyIndex ids_;  // of those live at the reading before
  std::vector<uint32_t> births_;
  uint32_t begun_tick_ = 0;  // of the reading before; 0: there was none, or it has left some out
};

}  // namespace leakhunt::ledger
