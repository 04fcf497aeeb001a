#include "collector/ledger/name_tables.h"

#include <fmt/format.h>

#include <cstring>

#include "collector/ledger/published_entries.h"
#include "preload/protocol/layout.h"

namespace leakhunt::ledger {

namespace {

constexpr uint32_t kMaxThreads = 1u << 16;
constexpr uint32_t kMaxScopes = 4096;  // the width of the field in a record

template <size_t N>
std::string Text(const char (&text)[N]) {
  return std::string(text, ::strnlen(text, N));
}

}  // namespace

void ThreadTable::Refresh(const PageFile& file, const PageDirectory& directory, const ProcessClock& clock) {
  ForEachPublished(
      file, directory, protocol::AreaKind::kThreads, &protocol::ThreadRecord::tid,
      [&](const protocol::ThreadRecord& record) {
        if (threads_.size() >= kMaxThreads && indices_.Find(record.index) == KeyIndex::kAbsent) return;
        snapshot::Thread& thread = threads_[IndexOf(record.index)];
        if (thread.tid != 0) return;
        thread.tid = record.tid;
        thread.name = Text(record.name);
        thread.started_ms = clock.TickMs(record.start_tick);
        thread.ended_ms = record.end_tick == 0 ? 0 : clock.TickMs(record.end_tick);
      });
}

uint32_t ThreadTable::IndexOf(uint32_t thread_index) {
  uint32_t number = indices_.Find(thread_index);
  if (number == KeyIndex::kAbsent) number = indices_.FindOrAdd(indices_.size() < 2 * kMaxThreads ? thread_index : 0);
  if (number == threads_.size()) threads_.emplace_back();
  return number;
}

ScopeTable::ScopeTable() : names_{""} { indices_.FindOrAdd(0); }

void ScopeTable::Refresh(const PageFile& file, const PageDirectory& directory) {
  ForEachPublished(file, directory, protocol::AreaKind::kScopes, &protocol::ScopeRecord::index,
                   [&](const protocol::ScopeRecord& record) {
                     if (record.index >= kMaxScopes) return;
                     const uint32_t number = indices_.FindOrAdd(record.index);
                     if (number == names_.size()) names_.push_back(Text(record.name));
                   });
}

uint32_t ScopeTable::IndexOf(uint32_t scope) {
  const uint32_t number = indices_.FindOrAdd(scope);
  if (number == names_.size()) names_.push_back(fmt::format("scope {}", scope));
  return number;
}

}  // namespace leakhunt::ledger
