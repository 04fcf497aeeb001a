#include "collector/ledger/module_table.h"

#include <algorithm>
#include <cstring>
#include <string>

#include "preload/protocol/layout.h"

namespace leakhunt::ledger {

namespace {

constexpr size_t kMaxModules = 1u << 16;
constexpr size_t kMaxBuildIdBytes = 64;
constexpr size_t kMaxPathBytes = 4096;
// Starts looked at below an address: objects hardly ever nest. Generations at one start are found by bisection.
constexpr int kMaxStarts = 64;

std::string Hex(const uint8_t* bytes, size_t count) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  text.reserve(count * 2);
  for (size_t i = 0; i < count; ++i) {
    text.push_back(kDigits[bytes[i] >> 4]);
    text.push_back(kDigits[bytes[i] & 0xF]);
  }
  return text;
}

bool Consistent(const protocol::ModuleRecord& record, size_t remaining) {
  const size_t trailer = size_t{record.build_id_bytes} + record.path_bytes;
  return record.record_bytes >= sizeof(record) + trailer && record.record_bytes % 8 == 0 &&
         record.record_bytes <= remaining && record.start < record.end && record.build_id_bytes <= kMaxBuildIdBytes &&
         record.path_bytes <= kMaxPathBytes;
}

}  // namespace

ModuleTable ModuleTable::Read(const PageFile& file, const PageDirectory& directory) {
  ModuleTable table;
  std::vector<Entry> entries;
  std::vector<uint8_t> bytes;
  for (const Area& area : directory.Areas(protocol::AreaKind::kModules)) {
    // The head by a read of its own, before: within one read the records might be older than the head that has them.
    protocol::AppendHeader head;
    if (!file.Read(area.offset, &head, sizeof(head)) || head.used_bytes <= sizeof(head)) continue;
    bytes.resize(std::min<uint64_t>(head.used_bytes, area.bytes));
    if (file.Read(area.offset, bytes.data(), bytes.size())) table.ReadArea(bytes, head.used_bytes, &entries);
  }
  table.Index(std::move(entries));
  return table;
}

void ModuleTable::ReadArea(const std::vector<uint8_t>& area, uint64_t used_bytes, std::vector<Entry>* entries) {
  if (used_bytes > area.size()) ++refused_;
  const size_t used = std::min<uint64_t>(used_bytes, area.size());
  size_t at = sizeof(protocol::AppendHeader);
  while (at + sizeof(protocol::ModuleRecord) <= used && entries->size() < kMaxModules) {
    protocol::ModuleRecord record;
    std::memcpy(&record, area.data() + at, sizeof(record));
    if (!Consistent(record, used - at)) {
      ++refused_;
      return;
    }
    const uint8_t* trailer = area.data() + at + sizeof(record);
    Entry entry;
    entry.module.build_id = Hex(trailer, record.build_id_bytes);
    entry.module.path.assign(reinterpret_cast<const char*>(trailer) + record.build_id_bytes, record.path_bytes);
    entry.module.path.resize(std::strlen(entry.module.path.c_str()));
    entry.module.start = record.start;
    entry.module.end = record.end;
    entry.module.bias = record.bias;
    entry.first_epoch = record.first_epoch;
    entry.last_epoch = record.last_epoch;
    entries->push_back(std::move(entry));
    at += record.record_bytes;
  }
}

void ModuleTable::Index(std::vector<Entry> entries) {
  std::stable_sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
    return a.module.start != b.module.start ? a.module.start < b.module.start : a.first_epoch < b.first_epoch;
  });
  uint64_t highest_end = 0;
  for (Entry& entry : entries) {
    highest_end = std::max(highest_end, entry.module.end);
    highest_end_.push_back(highest_end);
    epochs_.push_back({entry.first_epoch, entry.last_epoch});
    modules_.push_back(std::move(entry.module));
  }
}

uint32_t ModuleTable::Find(uint64_t address, uint32_t epoch) const {
  const auto above = std::upper_bound(modules_.begin(), modules_.end(), address,
                                      [](uint64_t value, const snapshot::Module& m) { return value < m.start; });
  size_t end = static_cast<size_t>(above - modules_.begin());
  for (int starts = 0; end > 0 && highest_end_[end - 1] > address && starts < kMaxStarts; ++starts) {
    const size_t begin = FirstAtStart(end - 1);
    const auto newer = std::upper_bound(epochs_.begin() + begin, epochs_.begin() + end, epoch,
                                        [](uint32_t value, const Epochs& e) { return value < e.first; });
    const size_t at = static_cast<size_t>(newer - epochs_.begin());
    const bool holds = at > begin && address < modules_[at - 1].end && epoch <= epochs_[at - 1].last;
    if (holds) return static_cast<uint32_t>(at - 1);
    end = begin;
  }
  return snapshot::kNoModule;
}

size_t ModuleTable::FirstAtStart(size_t module) const {
  const auto first = std::lower_bound(modules_.begin(), modules_.end(), modules_[module].start,
                                      [](const snapshot::Module& m, uint64_t value) { return m.start < value; });
  return static_cast<size_t>(first - modules_.begin());
}

const std::string& ModuleTable::Identity(uint32_t module) const {
  const snapshot::Module& found = modules_[module];
  return found.build_id.empty() ? found.path : found.build_id;
}

bool ModuleTable::StillLoaded(uint32_t module) const { return epochs_[module].last == protocol::kEpochStillLoaded; }

}  // namespace leakhunt::ledger
