#include "collector/ledger/living_threads.h"

#include <algorithm>

namespace leakhunt::ledger {
namespace {

constexpr uint32_t kClockSlackTicks = 2;  // the guest's clock may stand up to 10 ms behind ours

}  // namespace

LivingThreads::LivingThreads(const ThreadList* list, const ProcessClock& clock) : list_(list) {
  if (list != nullptr) listed_tick_ = clock.TickAt(list->listed_ms);
}

bool LivingThreads::Hold(const protocol::RecordSlot& slot) const {
  if (!protocol::IsDetached(slot.size_interval) || list_ == nullptr) return true;
  if (protocol::BirthTickOf(slot.stack_birth) + kClockSlackTicks >= listed_tick_) return true;
  return std::binary_search(list_->tids.begin(), list_->tids.end(), protocol::DetachedTidOf(slot.size_interval));
}

}  // namespace leakhunt::ledger
