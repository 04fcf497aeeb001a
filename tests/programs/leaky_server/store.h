// The healthy memory of the bundled service: a table built at start and kept, and a cache bounded by entries.
#pragma once

#include <list>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

namespace leaky {

// Exchange rates, read once at start: some 12 MB that never grow.
class RateTable {
 public:
  void Load();
  const std::string& Rate(size_t index) const { return rates_[index % rates_.size()]; }
  size_t size() const { return rates_.size(); }

 private:
  std::vector<std::string> rates_;
};

// Rendered pages by key; the least recently used goes when a new one comes. Any thread.
class PageCache {
 public:
  explicit PageCache(size_t capacity_entries) : capacity_(capacity_entries) {}

  // Empty when absent.
  std::string Find(const std::string& key);
  void Insert(const std::string& key, std::string page);
  size_t size() const;

 private:
  struct Entry {
    std::string key;
    std::string page;
  };

  const size_t capacity_;
  mutable std::mutex mutex_;
  std::list<Entry> by_age_;  // most recently used first
  std::unordered_map<std::string, std::list<Entry>::iterator> by_key_;
};

}  // namespace leaky
