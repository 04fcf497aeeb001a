// The table behind rule_cache.h: where entries go, when it grows, how hints are kept.
#include "preload/unwind/rule_cache.h"

#include "preload/sys/memory.h"

namespace leakhunt::unwind {
namespace {

constexpr uint32_t kFirstLog2 = 16, kLastLog2 = 20;  // bytes: 64 KiB, 256 KiB, 1 MiB
constexpr uint32_t kStep = 2;
constexpr uint32_t kCandidates = 4;

constinit uint32_t g_evictions = 0;
constinit uint32_t g_next_victim = 0;

uint64_t Log2Of(uint64_t table) { return table & kTableLog2Mask; }
uint64_t LinesOf(uint64_t table) { return table & ~kTableLog2Mask; }

RuleEntry* Candidate(const RuleTable& table, uint64_t line_offset, uint32_t i) {
  auto* line = reinterpret_cast<RuleLine*>(table.lines + (line_offset ^ (i & 2) * (sizeof(RuleLine) / 2)));
  return &line->ways[i & 1];
}

bool Install(uint64_t expected, uint32_t log2) {
  void* lines = sys::MapPrivate(uint64_t{1} << log2);
  if (lines == nullptr) return false;
  // Release: the zeroed lines are the kernel's, nothing else to publish. Partner: CurrentRuleTable.
  if (!sys::CompareExchange(&g_rule_table, expected, reinterpret_cast<uint64_t>(lines) | log2)) {
    sys::Discard(lines, uint64_t{1} << log2);  // another thread grew it first
  }
  return true;
}

void CountEviction(const RuleTable& table) {
  uint64_t current = sys::LoadRelaxed(&g_rule_table);
  if (reinterpret_cast<uint64_t>(table.lines) != LinesOf(current)) return;
  uint64_t log2 = Log2Of(current);
  uint32_t lines = 1u << (log2 - 6);
  if (sys::AddRelaxed(&g_evictions, 1u) + 1 < lines || log2 >= kLastLog2) return;
  sys::StoreRelaxed(&g_evictions, 0u);
  Install(current, static_cast<uint32_t>(log2) + kStep);
}

}  // namespace

constinit uint64_t g_rule_table = 0;
alignas(64) constinit RuleLine g_smallest_table[2] = {};
constinit thread_local uint32_t t_wrong_hints = 0;
constinit const RuleEntry kNoEntry{};

FoundRule FindRule(const RuleTable& table, uint64_t lookup) {
  uint64_t offset = RuleLineOffset(table, lookup), key = RuleKey(table, lookup);
  for (uint32_t i = 0; i < kCandidates; ++i) {
    const RuleEntry* entry = Candidate(table, offset, i);
    uint64_t rule = sys::LoadRelaxed(&entry->rule);
    if (Holds(entry, key, rule)) return {entry, rule};
  }
  return {nullptr, 0};
}

void InsertRule(const RuleTable& table, uint64_t lookup, uint64_t rule) {
  uint64_t offset = RuleLineOffset(table, lookup);
  RuleEntry* entry = Candidate(table, offset, 0);
  for (uint32_t i = 1; i < kCandidates && sys::LoadRelaxed(&entry->check) != 0; ++i)
    entry = Candidate(table, offset, i);
  if (sys::LoadRelaxed(&entry->check) != 0) {
    entry = Candidate(table, offset, sys::AddRelaxed(&g_next_victim, 1u) % kCandidates);
    CountEviction(table);
  }
  sys::StoreRelaxed(&entry->next, static_cast<const RuleEntry*>(entry));
  sys::StoreRelaxed(&entry->rule, rule);
  sys::StoreRelease(&entry->check, RuleCheck(RuleKey(table, lookup), rule));  // partner: Holds
}

bool InitializeRuleCache() { return sys::LoadRelaxed(&g_rule_table) != 0 || Install(0, kFirstLog2); }

void DropRules() {
  uint64_t table = sys::LoadRelaxed(&g_rule_table);
  if (table == 0) return;
  // `next` stays: a walk that is under way may follow it.
  auto* entries = reinterpret_cast<RuleEntry*>(LinesOf(table));
  for (uint64_t i = 0; i < (uint64_t{1} << Log2Of(table)) / sizeof(RuleEntry); ++i) {
    if (sys::LoadRelaxed(&entries[i].check) == 0) continue;
    sys::StoreRelaxed(&entries[i].check, uint64_t{0});
  }
}

}  // namespace leakhunt::unwind
