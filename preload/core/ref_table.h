// A lock-free map from a 64-bit key's upper half to a 32-bit reference, where duplicates are legal.
//
// Used for stack interning (key: content hash; reference: StackRecord) and for shared tallies. Readers verify the
// full key elsewhere. Growth copies under a lock while others may still insert into the old table; such an entry is
// lost to lookups and its content gets interned again, which the reader of the pages merges.
#pragma once

#include <cstdint>

#include "preload/sys/atomic.h"
#include "preload/sys/memory.h"
#include "preload/sys/spinlock.h"

namespace leakhunt::core {

class RefTable {
 public:
  // False when memory is refused; such a table holds nothing and takes nothing in.
  bool Create(uint32_t generation, uint64_t capacity) {
    generation_ = generation;
    table_ = MakeTable(capacity);
    return table_ != nullptr;
  }

  bool Exists() const { return sys::LoadRelaxed(&table_) != nullptr; }

  // Calls matches(reference) for candidates with the same upper key half; returns the first it accepts, 0 if none.
  template <typename Matches>
  uint32_t Find(uint64_t key, Matches matches) const {
    const Table* table = sys::LoadAcquire(&table_);  // partner: Grow
    if (__builtin_expect(table == nullptr, 0)) return 0;
    const uint64_t tag = key >> 32;
    for (uint64_t i = Home(key, table), probes = 0; probes < table->capacity; i = (i + 1) & (table->capacity - 1), ++probes) {
      uint64_t entry = sys::LoadAcquire(&table->entries[i]);  // partner: the CAS in Insert
      if (entry == 0) return 0;
      if (entry >> 32 == tag && matches(static_cast<uint32_t>(entry))) return static_cast<uint32_t>(entry);
    }
    return 0;
  }

  // `reference` != 0. Best effort: an insert that finds no room is dropped.
  void Insert(uint64_t key, uint32_t reference) {
    Table* table = sys::LoadAcquire(&table_);
    if (__builtin_expect(table == nullptr, 0)) return;
    if (sys::AddRelaxed(&table->used, uint64_t{1}) * 2 >= table->capacity) {
      Grow(table);
      table = sys::LoadAcquire(&table_);
    }
    Put(table, (key >> 32 << 32) | reference);
  }

 private:
  struct Table {
    uint64_t* entries;
    uint64_t capacity;  // power of two
    uint64_t used;
  };

  // Entries keep only the upper half of the key, so the home position must come from it alone.
  static uint64_t Home(uint64_t key, const Table* table) {
    return ((key >> 32) * 0x9E37'79B9'7F4A'7C15u >> 20) & (table->capacity - 1);
  }

  static Table* MakeTable(uint64_t capacity) {
    auto* table = static_cast<Table*>(sys::Carve(sizeof(Table)));
    if (table == nullptr) return nullptr;
    table->entries = static_cast<uint64_t*>(sys::MapPrivate(capacity * sizeof(uint64_t)));
    table->capacity = capacity;
    return table->entries != nullptr ? table : nullptr;
  }

  static void Put(Table* table, uint64_t entry) {
    for (uint64_t i = Home(entry, table), probes = 0; probes < table->capacity; i = (i + 1) & (table->capacity - 1), ++probes) {
      if (sys::LoadRelaxed(&table->entries[i]) == 0 && sys::CompareExchange(&table->entries[i], uint64_t{0}, entry)) return;
    }
  }

  void Grow(Table* full) {
    if (!lock_.TryAcquire(generation_)) return;
    if (table_ == full) {
      Table* larger = MakeTable(full->capacity * 2);
      if (larger != nullptr) {
        for (uint64_t i = 0; i < full->capacity; ++i) {
          uint64_t entry = sys::LoadAcquire(&full->entries[i]);
          if (entry != 0) Put(larger, entry), ++larger->used;
        }
        sys::StoreRelease(&table_, larger);
        // Readers may still be in the old one: it keeps its memory (half of the new one's) for good.
      }
    }
    lock_.Release();
  }

  Table* table_ = nullptr;
  uint32_t generation_ = 0;
  sys::SpinLock lock_;
};

}  // namespace leakhunt::core
