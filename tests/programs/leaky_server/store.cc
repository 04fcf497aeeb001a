#include "store.h"

namespace leaky {

constexpr size_t kRates = 100'000;

void RateTable::Load() {
  rates_.reserve(kRates);
  for (size_t i = 0; i < kRates; ++i) {
    rates_.push_back("pair=" + std::to_string(i) + ";rate=" + std::to_string(i % 977) + "." + std::to_string(i % 89) +
                     ";source=bundled table of the example service, never changed after start");
  }
}

std::string PageCache::Find(const std::string& key) {
  std::lock_guard lock(mutex_);
  auto found = by_key_.find(key);
  if (found == by_key_.end()) return {};
  by_age_.splice(by_age_.begin(), by_age_, found->second);
  return found->second->page;
}

void PageCache::Insert(const std::string& key, std::string page) {
  std::lock_guard lock(mutex_);
  if (by_key_.count(key) != 0) return;
  by_age_.push_front(Entry{key, std::move(page)});
  by_key_[key] = by_age_.begin();
  if (by_age_.size() <= capacity_) return;
  by_key_.erase(by_age_.back().key);
  by_age_.pop_back();
}

size_t PageCache::size() const {
  std::lock_guard lock(mutex_);
  return by_age_.size();
}

}  // namespace leaky
