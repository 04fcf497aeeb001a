// "Is this pointer ours?": the private map from address to recorded block.
//
// Any thread, lock-free except growth; safe in signal handlers (a lookup never waits for the thread it interrupted:
// only a growth in progress elsewhere is waited for, boundedly: a move takes nanoseconds unless its thread is preempted). Lives in private memory: free, realloc and fork never
// read a shared slot for content.
//
// Lines of 64 bytes hold seven keys and a word about entries that belong here but stand in one of the next lines: how
// many, and how far the farthest may be. Payloads stand beside them, so a miss costs one cache line unless that word says
// otherwise. Nothing wears out under churn: a displaced entry that leaves lowers the count again. An entry is claimed by compare-and-swap of its key; who claims it
// is its only owner, and the slot's only writer.
#pragma once

#include <cstdint>

#include "preload/sys/atomic.h"
#include "preload/sys/spinlock.h"

namespace leakhunt::core {

struct Payload {
  uint32_t slot;           // file offset of the RecordSlot / 32
  uint32_t stack;          // stack reference
  uint64_t size_interval;  // as RecordSlot
  uint32_t birth_tick;
  uint16_t scope;
  uint16_t generation;     // process generation (low bits) it was recorded in; another one: inherited by a fork
};
static_assert(sizeof(Payload) == 24);

class LiveTable {
 public:
  // Opaque position of a claimed or reserved entry; null: none.
  struct Entry {
    uint64_t* key = nullptr;
    Payload* payload = nullptr;
    uint64_t* displaced = nullptr;  // the home line's word, when the entry stands elsewhere
    explicit operator bool() const { return key != nullptr; }
  };

  bool Create(uint32_t generation);

  // Takes a free entry for `address`, invisible to Claim until Publish. Null at the memory bound.
  Entry Reserve(uint64_t address);
  // Makes a reserved (or claimed) entry visible again under `address`.
  static void Publish(Entry entry, uint64_t address);
  // Finds the visible entry of `address` and makes it invisible: the caller owns it and must Release or Publish it.
  Entry Claim(uint64_t address);
  static void Release(Entry entry);
  // Asks the processor for the lines that Claim and Reserve of `address` will touch.
  void Prefetch(uint64_t address) const;
  // True when a visible entry may exist; never false for one that does.
  bool MayContain(uint64_t address) const;

  uint64_t Size() const;  // approximate

  // Calls visit(address, payload) for every visible entry; for a forked child, alone in its table.
  template <typename Visit>
  void ForEach(Visit visit) const;

  // In a forked child: locks of the parent's threads are void, a growth that was under way is finished.
  void AfterFork(uint32_t generation);

 private:
  static constexpr uint32_t kWays = 7;
  // Lines beyond the home line that may be used. So many that a table of millions of lines becomes as full as a small one
  // before one corner of it has no room; most displaced entries are in the next line.
  static constexpr uint32_t kProbes = 32;
  static constexpr uint64_t kAddressMask = 0xFFFF'FFFF'FFFF;
  static constexpr uint64_t kVisible = uint64_t{1} << 62;   // claimable
  static constexpr uint64_t kMoving = uint64_t{1} << 61;    // being moved to the new table
  static constexpr uint64_t kTaken = uint64_t{1} << 60;     // freed while it was being moved
  static constexpr uint64_t kReserved = uint64_t{1} << 59;  // owned by one thread

  struct Line {
    uint64_t key[kWays];
    uint64_t displaced;  // of this home line's entries in the next kProbes lines: number, and greatest distance << 32
  };
  static_assert(sizeof(Line) == 64);

  struct Table {
    Line* lines;
    Payload* payloads;  // [line * kWays + way]
    uint64_t home_lines;
    uint64_t all_lines;      // home_lines + kProbes
    uint64_t live;           // entries, estimated; may be seen below zero
    uint64_t moved_lines;    // migration cursor, under the lock
    uint8_t* given_back;     // [all_lines / kChunkLines + 1], under the lock: memory of those lines is the kernel's again
  };
  static constexpr uint64_t kChunkLines = 4096;  // whole pages of keys and of payloads

  // The tables in use, oldest first, newest last: blocks enter the newest, and the oldest is being emptied into it. One
  // table most of the time, two after a growth; more only when growth outruns migration. Replaced whole, never changed.
  static constexpr uint32_t kMaxTables = 6;
  struct Tables {
    uint32_t count;
    Table* at[kMaxTables];
    Table* Newest() const { return at[count - 1]; }
  };

  static uint32_t Matches(const Line& line, uint64_t wanted);
  Entry ClaimSlow(uint64_t address);
  Table* MakeTable(uint64_t home_lines);
  Entry ReserveIn(Table* table, uint64_t address);
  enum class Found : uint8_t { kNo, kYes, kTakenWhileMoving, kMovedOn };
  Found ClaimIn(Table* table, uint64_t address, Entry* entry);
  Found ClaimInLine(Table* table, uint64_t line, uint64_t address, Entry* entry);
  static bool LineMayHold(const Line& line, uint64_t address);
  static bool Emptied(const Table* table, uint64_t first, uint64_t end);
  static bool LeadsBeyond(const Table* table, uint64_t first, uint64_t end);
  static void GiveBack(Table* table, uint64_t chunk);
  static void GiveBackMoved(Table* table);
  static void Undisplace(uint64_t* displaced);
  void Retire(Table* table);
  bool MayContainIn(const Table* table, uint64_t address) const;
  void Grow(Table* full);
  void Migrate(uint32_t lines);
  void MoveLine(Table* from, Table* to, uint64_t line);

  const Tables* Set() const { return sys::LoadAcquire(&tables_); }  // partner: Replace
  bool Replace(Table* add, Table* remove);

  const Tables* tables_ = nullptr;
  uint32_t generation_ = 0;
  sys::SpinLock lock_;    // growth and migration
  // Called when an entry that a free had taken while it was being moved is finished off here.
 public:
  void (*finish_taken)(const Payload& payload) = nullptr;
};

template <typename Visit>
void LiveTable::ForEach(Visit visit) const {
  const Tables* set = Set();
  for (uint32_t t = 0; t < set->count; ++t) {
    const Table* table = set->at[t];
    for (uint64_t line = 0; line < table->all_lines; ++line) {
      for (uint32_t way = 0; way < kWays; ++way) {
        uint64_t key = table->lines[line].key[way];
        if ((key & kVisible) != 0) visit(key & kAddressMask, table->payloads[line * kWays + way]);
      }
    }
  }
}

}  // namespace leakhunt::core
