#include "collector/ledger/name_tables.h"

#include <fmt/format.h>

#include <cstring>

#include "preload/protocol/layout.h"

namespace leakhunt::ledger {

namespace {

constexpr uint32_t kMaxThreads = 1u << 16;
constexpr uint32_t kMaxScopes = 4096;  // the width of the field in a record

template <size_t N>
std::string Text(const char (&text)[N]) {
  return std::string(text, ::strnlen(text, N));
}

// Calls visit(const Entry&) for every entry of the areas of one kind.
template <class Entry, class Visit>
void ForEachEntry(const PageFile& file, const PageDirectory& directory, protocol::AreaKind kind, Visit&& visit) {
  Entry page[protocol::kPageBytes / sizeof(Entry)];
  for (const Area& area : directory.Areas(kind)) {
    for (uint64_t at = area.offset; at < area.offset + area.bytes; at += protocol::kPageBytes) {
      if (!file.Read(at, page, sizeof(page))) return;
      for (const Entry& entry : page) visit(entry);
    }
  }
}

}  // namespace

ThreadTable ThreadTable::Read(const PageFile& file, const PageDirectory& directory, const ProcessClock& clock) {
  ThreadTable table;
  ForEachEntry<protocol::ThreadRecord>(file, directory, protocol::AreaKind::kThreads,
                                       [&](const protocol::ThreadRecord& record) {
                                         if (record.tid == 0 || table.threads_.size() >= kMaxThreads) return;
                                         if (table.indices_.FindOrAdd(record.index) != table.threads_.size()) return;
                                         snapshot::Thread thread;
                                         thread.tid = record.tid;
                                         thread.name = Text(record.name);
                                         thread.started_ms = clock.TickMs(record.start_tick);
                                         thread.ended_ms = record.end_tick == 0 ? 0 : clock.TickMs(record.end_tick);
                                         table.threads_.push_back(std::move(thread));
                                       });
  return table;
}

uint32_t ThreadTable::IndexOf(uint32_t thread_index) {
  uint32_t number = indices_.Find(thread_index);
  if (number == KeyIndex::kAbsent) number = indices_.FindOrAdd(indices_.size() < 2 * kMaxThreads ? thread_index : 0);
  if (number == threads_.size()) threads_.emplace_back();
  return number;
}

ScopeTable::ScopeTable() : names_{""} { indices_.FindOrAdd(0); }

ScopeTable ScopeTable::Read(const PageFile& file, const PageDirectory& directory) {
  ScopeTable table;
  ForEachEntry<protocol::ScopeRecord>(file, directory, protocol::AreaKind::kScopes,
                                      [&](const protocol::ScopeRecord& record) {
                                        if (record.index == 0 || record.index >= kMaxScopes) return;
                                        if (table.indices_.FindOrAdd(record.index) != table.names_.size()) return;
                                        table.names_.push_back(Text(record.name));
                                      });
  return table;
}

uint32_t ScopeTable::IndexOf(uint32_t scope) {
  const uint32_t number = indices_.FindOrAdd(scope);
  if (number == names_.size()) names_.push_back(fmt::format("scope {}", scope));
  return number;
}

}  // namespace leakhunt::ledger
