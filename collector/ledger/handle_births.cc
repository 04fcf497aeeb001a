#include "collector/ledger/handle_births.h"

#include <algorithm>

namespace leakhunt::ledger {

void HandleBirths::Mend(HandleSighting* seen, uint32_t begun_tick) {
  KeyIndex ids;
  std::vector<uint32_t> births;
  for (RecordedHandle& handle : seen->live) {
    const uint32_t known = ids_.Find(handle.id);
    handle.birth_tick = known == KeyIndex::kAbsent ? std::max(handle.birth_tick, begun_tick_) : births_[known];
    if (ids.FindOrAdd(handle.id) == births.size()) births.push_back(handle.birth_tick);
  }
  ids_ = std::move(ids);
  births_ = std::move(births);
  begun_tick_ = seen->refused == 0 ? begun_tick : 0;
}

}  // namespace leakhunt::ledger
