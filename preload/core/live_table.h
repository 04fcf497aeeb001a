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
#if defined(__SSE2__)
#include <emmintrin.h>
#endif

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

class alignas(64) LiveTable {
 public:
  // Opaque position of a claimed or reserved entry; null: none.
  struct Entry {
    uint64_t* key = nullptr;
    Payload* payload = nullptr;
    uint64_t* displaced = nullptr;  // the home line's word, when the entry stands elsewhere
    explicit operator bool() const { return key != nullptr; }
  };

  // Where an address belongs, as of now: computed once for the calls of one event.
  class Place;
  Place PlaceOf(uint64_t address) const;

  bool Create(uint32_t generation);

  // Takes a free entry for the address, invisible to Claim until Publish. Null at the memory bound.
  Entry Reserve(const Place& place);
  Entry Reserve(uint64_t address) { return ReserveSlow(address); }
  // Makes a reserved (or claimed) entry visible again under `address`.
  static void Publish(Entry entry, uint64_t address) {
    sys::StoreRelease(entry.key, (address & kAddressMask) | kVisible);  // partner: Claim's CAS
  }
  // Finds the visible entry of `address` and makes it invisible: the caller owns it and must Release or Publish it.
  Entry Claim(const Place& place);
  Entry Claim(uint64_t address);
  static void Release(Entry entry) {
    sys::StoreRelease(entry.key, uint64_t{0});
    if (__builtin_expect(entry.displaced != nullptr, 0)) Undisplace(entry.displaced);
  }
  // Asks the processor for the line of keys that Claim and Reserve will read.
  static void Prefetch(const Place& place);
  // The payloads beside it, too: which one Claim will want is not known before the keys are there.
  static void PrefetchAll(const Place& place);
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
    int64_t grow_at;         // three quarters of all entries: until then few are displaced
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

  static uint64_t HomeLine(uint64_t address, uint64_t lines);
  static void Count(uint64_t* live, uint64_t address, int64_t sign);
  static uint32_t DisplacedCount(uint64_t word) { return static_cast<uint32_t>(word); }
  static uint32_t Matches(const Line& line, uint64_t wanted);
  static uint32_t FirstWay(uint32_t matches);
  Entry ReserveSlow(uint64_t address);
  Entry ClaimSlow(uint64_t address);
  Table* MakeTable(uint64_t home_lines);
  Entry ReserveIn(Table* table, uint64_t address);
  enum class Found : uint8_t { kNo, kYes, kTakenWhileMoving, kMovedOn };
  Found ClaimIn(Table* table, uint64_t address, Entry* entry);
  Found ClaimInLine(Table* table, uint64_t line, uint64_t address, Entry* entry);
  static Found AwaitMove(uint64_t* key, uint64_t address);
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

class LiveTable::Place {
  friend class LiveTable;
  const Tables* set;
  uint64_t address;
  uint64_t home;  // in the newest table
};

// Fibonacci hashing (Knuth, TAOCP 6.4) with one fold; then fastrange (Lemire 2019) onto any number of lines.
inline uint64_t LiveTable::HomeLine(uint64_t address, uint64_t lines) {
  uint64_t h = (address >> 4) * 0x9E37'79B9'7F4A'7C15u;
  h ^= h >> 32;
  h *= 0xD6E8'FEB8'6659'FD93u;
  return static_cast<uint64_t>((static_cast<unsigned __int128>(h) * lines) >> 64);
}

// How full a table is need not be exact, and a counter that all threads write is a shared line: one address in sixteen
// is counted, as sixteen, by its own bits, so that it leaves the count as it came.
inline void LiveTable::Count(uint64_t* live, uint64_t address, int64_t sign) {
  constexpr uint64_t kOneIn = 16;
  if (((address >> 4) * 0x9E37'79B9'7F4A'7C15u) >> 60 == 0) sys::AddRelaxed(live, static_cast<uint64_t>(sign) * kOneIn);
}

// One bit (of those that FirstWay understands) for each key of the line that is `wanted`. Without a branch a key: which
// of the seven it is, nobody can predict. What is found is verified by who claims it.
#if defined(__SSE2__)
inline uint32_t LiveTable::Matches(const Line& line, uint64_t wanted) {
  const __m128i pattern = _mm_set1_epi64x(static_cast<long long>(wanted));
  const auto* keys = reinterpret_cast<const __m128i*>(&line);
  auto equal = [&](int pair) { return _mm_cmpeq_epi32(_mm_load_si128(keys + pair), pattern); };
  const __m128i halves = _mm_packs_epi16(_mm_packs_epi32(equal(0), equal(1)), _mm_packs_epi32(equal(2), equal(3)));
  const uint32_t bits = static_cast<uint32_t>(_mm_movemask_epi8(halves));  // two a key: low word, high word
  return bits & bits >> 1 & 0x1555;  // and without the eighth word, which is no key
}
inline uint32_t LiveTable::FirstWay(uint32_t matches) { return static_cast<uint32_t>(__builtin_ctz(matches)) / 2; }
#else
inline uint32_t LiveTable::Matches(const Line& line, uint64_t wanted) {
  uint32_t mask = 0;
#pragma GCC unroll 7
  for (uint32_t way = 0; way < kWays; ++way) mask |= uint32_t{sys::LoadRelaxed(&line.key[way]) == wanted} << way;
  return mask;
}
inline uint32_t LiveTable::FirstWay(uint32_t matches) { return static_cast<uint32_t>(__builtin_ctz(matches)); }
#endif

[[gnu::always_inline]] inline LiveTable::Place LiveTable::PlaceOf(uint64_t address) const {
  Place place;
  place.set = Set();
  place.address = address & kAddressMask;
  place.home = HomeLine(address, place.set->Newest()->home_lines);
  return place;
}

inline void LiveTable::Prefetch(const Place& place) { __builtin_prefetch(&place.set->Newest()->lines[place.home], 1); }

inline void LiveTable::PrefetchAll(const Place& place) {
  Prefetch(place);
  const auto* payloads = reinterpret_cast<const char*>(&place.set->Newest()->payloads[place.home * kWays]);
  for (uint32_t at = 0; at < kWays * sizeof(Payload); at += 64) __builtin_prefetch(payloads + at);
}

// Nearly always: one table, and the entry in its home line or nowhere.
[[gnu::always_inline]] inline LiveTable::Entry LiveTable::Claim(const Place& place) {
  if (__builtin_expect(place.set->count == 1, 1)) {
    Table* table = place.set->at[0];
    Line& line = table->lines[place.home];
    const uint32_t mask = Matches(line, place.address | kVisible);
    if (mask == 0) {
      if (__builtin_expect(DisplacedCount(sys::LoadAcquire(&line.displaced)) == 0 && Set() == place.set, 1)) return Entry{};
    } else {
      const uint32_t way = FirstWay(mask);
      Payload* payload = &table->payloads[place.home * kWays + way];
      __builtin_prefetch(payload);  // a locked instruction would hold back the load
      if (sys::CompareExchangePrivate(&line.key[way], place.address | kVisible, place.address | kReserved)) {
        Count(&table->live, place.address, -1);
        return Entry{&line.key[way], payload, nullptr};
      }
    }
  }
  return ClaimSlow(place.address);
}
inline LiveTable::Entry LiveTable::Claim(uint64_t address) { return Claim(PlaceOf(address)); }

// Nearly always: one table with room, and a free way in the home line.
[[gnu::always_inline]] inline LiveTable::Entry LiveTable::Reserve(const Place& place) {
  Table* table = place.set->at[0];
  if (__builtin_expect(place.set->count == 1 && static_cast<int64_t>(sys::LoadRelaxed(&table->live)) < table->grow_at, 1)) {
    Line& line = table->lines[place.home];
    if (const uint32_t mask = Matches(line, 0); mask != 0) {
      const uint32_t way = FirstWay(mask);
      if (sys::CompareExchangePrivate(&line.key[way], uint64_t{0}, place.address | kReserved)) {
        // Had the table become an old one meanwhile, its emptying might have passed this line already.
        if (__builtin_expect(Set() == place.set, 1)) {
          Count(&table->live, place.address, 1);
          return Entry{&line.key[way], &table->payloads[place.home * kWays + way], nullptr};
        }
        sys::StoreRelease(&line.key[way], uint64_t{0});
      }
    }
  }
  return ReserveSlow(place.address);
}

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
