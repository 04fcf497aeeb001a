// The process-wide cache pc -> rule. Readers and writers are any threads and signal handlers; there is no lock.
//
// An entry is two words, {key ^ spread(rule), rule}: a reader that sees halves of two writes sees a key that does not
// match, and misses. The epoch of the module map is part of the key, so rules of unloaded objects are never found. A
// table that evicts too much is replaced by one four times as large; the old one stays readable (a walk may be in it).
//
// An entry also names the entry that was wanted next last time: nearly always the same caller. The hint is verified by
// the key like any other find, so it may be wrong or stale; it takes the return address out of the chain of loads that
// a walk waits for: on a stack that repeats 3 ns a frame, 7 without.
#pragma once

#include <cstdint>

#include "preload/sys/atomic.h"

namespace leakhunt::unwind {

struct RuleEntry {
  uint64_t check, rule;
  const RuleEntry* next;  // hint; the entry itself when there is none yet, null in an unused entry
  uint64_t reserved;
};
static_assert(sizeof(RuleEntry) == 32);

struct RuleLine {
  RuleEntry ways[2];
};
static_assert(sizeof(RuleLine) == 64);

// What a walk holds on to: the table as it was when the walk began.
struct RuleTable {
  char* lines;
  uint64_t line_mask;  // of a byte offset
  uint64_t epoch_tag;
};

// `lookup` is the address whose row applies: return address - 1, or an exact pc.
inline uint64_t RuleKey(const RuleTable& table, uint64_t lookup) { return lookup ^ table.epoch_tag; }
inline uint64_t RuleCheck(uint64_t key, uint64_t rule) { return key ^ rule * 0x9E37'79B9'7F4A'7C15; }

inline uint64_t RuleLineOffset(const RuleTable& table, uint64_t lookup) {
  return (lookup << 6 ^ lookup >> 6) & table.line_mask;
}

// Does the entry hold `rule`, read from it, for `key`? Acquire: whoever sees the check sees a `next` that is not null.
// Partner: InsertRule.
inline bool Holds(const RuleEntry* entry, uint64_t key, uint64_t rule) {
  return sys::LoadAcquire(&entry->check) == RuleCheck(key, rule);
}

struct FoundRule {
  const RuleEntry* entry;  // null = not cached
  uint64_t rule;
};

// The entry of `lookup`: one of two in its line or in the neighbour line.
FoundRule FindRule(const RuleTable& table, uint64_t lookup);

// An entry that holds nothing: where the first hint of a walk points.
extern const RuleEntry kNoEntry;

inline const RuleEntry* FirstPlace(const RuleTable& table, uint64_t lookup) {
  return reinterpret_cast<const RuleEntry*>(table.lines + RuleLineOffset(table, lookup));
}

// `entry` was wanted after `before`, whose hint said otherwise. An entry with many callers would be written all the
// time, by all threads: it is only now and then.
inline constexpr uint32_t kHintPatience = 31;
extern constinit thread_local uint32_t t_wrong_hints;  // constinit: no wrapper function
[[gnu::always_inline]] inline void CorrectHint(const RuleEntry* before, const RuleEntry* entry) {
  if (__builtin_expect((++t_wrong_hints & kHintPatience) != 0, 1) && sys::LoadRelaxed(&before->next) != before) return;
  if (before != &kNoEntry) sys::StoreRelaxed(&const_cast<RuleEntry*>(before)->next, entry);
}

// Address of the table in use, a page boundary, with log2 of its bytes in the low bits: one word, read at once.
extern uint64_t g_rule_table;
inline constexpr uint64_t kTableLog2Mask = 0xFFF;

// Stands in until there is a table, and where memory was refused.
extern RuleLine g_smallest_table[2];

// The table to use for one walk at `epoch`.
inline RuleTable CurrentRuleTable(uint32_t epoch) {
  uint64_t table = sys::LoadAcquire(&g_rule_table);  // partner: Install in rule_cache.cc
  // Odd, so that the tag is never 0 and no address matches an empty entry.
  uint64_t tag = (uint64_t{epoch} << 1 | 1) << 47;
  if (__builtin_expect(table == 0, 0)) return {reinterpret_cast<char*>(g_smallest_table), sizeof(RuleLine), tag};
  return {reinterpret_cast<char*>(table & ~kTableLog2Mask),
          (uint64_t{1} << (table & kTableLog2Mask)) - sizeof(RuleLine), tag};
}

// Enters a rule; may evict another, may grow the table for later walks.
void InsertRule(const RuleTable& table, uint64_t lookup, uint64_t rule);

// Makes the first table. False: memory refused; walks go on without a cache.
bool InitializeRuleCache();

// Empties the table in use (its entries belong to an older epoch).
void DropRules();

}  // namespace leakhunt::unwind
