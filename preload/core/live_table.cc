#include "preload/core/live_table.h"

#include "preload/sys/atomic.h"
#include "preload/sys/memory.h"
#include "preload/sys/syscall.h"

namespace leakhunt::core {
namespace {

constexpr uint64_t kFirstLines = 512;  // 3,584 entries, touched as used
constexpr uint32_t kLinesAReserve = 8;
constexpr int kMoveSpins = 2'000;        // ~50 us
constexpr int kMoveWaits = kMoveSpins + 200;

// The word of a line about its displaced entries.
uint64_t DisplacedReach(uint64_t word) { return word >> 32; }

void RaiseReach(uint64_t* displaced, uint64_t distance) {
  uint64_t seen = sys::LoadRelaxed(displaced);
  while (DisplacedReach(seen) < distance && !sys::CompareExchangePrivate(displaced, seen, distance << 32 | static_cast<uint32_t>(seen))) {
    seen = sys::LoadRelaxed(displaced);
  }
}

}  // namespace

LiveTable::Table* LiveTable::MakeTable(uint64_t home_lines) {
  uint64_t all_lines = home_lines + kProbes;
  auto* table = static_cast<Table*>(sys::Carve(sizeof(Table)));
  if (table == nullptr) return nullptr;
  table->lines = static_cast<Line*>(sys::MapPrivateHuge(all_lines * sizeof(Line)));
  table->payloads = static_cast<Payload*>(sys::MapPrivateHuge(all_lines * kWays * sizeof(Payload)));
  table->given_back = static_cast<uint8_t*>(sys::Carve(all_lines / kChunkLines + 1));
  if (table->lines == nullptr || table->payloads == nullptr || table->given_back == nullptr) return nullptr;
  table->home_lines = home_lines;
  table->grow_at = static_cast<int64_t>(home_lines * kWays * 3 / 4);
  table->all_lines = all_lines;
  return table;
}

bool LiveTable::Create(uint32_t generation) {
  generation_ = generation;
  Table* first = MakeTable(kFirstLines);
  return first != nullptr && Replace(first, nullptr);
}

// A new set with `add` as its newest or without `remove`. A few dozen bytes for each growth of a process's life.
bool LiveTable::Replace(Table* add, Table* remove) {
  auto* set = static_cast<Tables*>(sys::Carve(sizeof(Tables)));
  if (set == nullptr) return false;
  if (const Tables* present = tables_; present != nullptr) {
    for (uint32_t t = 0; t < present->count; ++t) {
      if (present->at[t] != remove) set->at[set->count++] = present->at[t];
    }
  }
  if (add != nullptr) set->at[set->count++] = add;
  sys::StoreRelease(&tables_, static_cast<const Tables*>(set));  // partner: Set
  return true;
}

LiveTable::Entry LiveTable::ReserveIn(Table* table, uint64_t address) {
  const uint64_t reserved = (address & kAddressMask) | kReserved;
  const uint64_t home = HomeLine(address, table->home_lines);
  uint64_t* displaced = nullptr;
  for (uint64_t index = home; index <= home + kProbes; ++index) {
    Line& line = table->lines[index];
    const uint32_t free_ways = Matches(line, 0);
    if (displaced != nullptr && free_ways != 0) RaiseReach(displaced, index - home);  // before the key, as the count
    for (uint32_t mask = free_ways; mask != 0; mask &= mask - 1) {
      const uint32_t way = FirstWay(mask);
      if (sys::CompareExchangePrivate(&line.key[way], uint64_t{0}, reserved)) {
        return Entry{&line.key[way], &table->payloads[index * kWays + way], displaced};
      }
    }
    if (displaced == nullptr) {
      displaced = &table->lines[home].displaced;
      __atomic_fetch_add(displaced, 1, __ATOMIC_ACQ_REL);  // before the key: who looks for it finds the way
    }
  }
  Undisplace(displaced);
  return Entry{};
}

// One displaced entry less; with the last one goes the reach. Who comes to stay has raised the count first.
void LiveTable::Undisplace(uint64_t* displaced) {
  uint64_t word = __atomic_sub_fetch(displaced, 1, __ATOMIC_ACQ_REL);
  if (DisplacedCount(word) == 0 && word != 0) sys::CompareExchangePrivate(displaced, word, uint64_t{0});
}

LiveTable::Entry LiveTable::ReserveSlow(uint64_t address) {
  if (__builtin_expect(Set()->count > 1, 0)) Migrate(kLinesAReserve);
  for (int attempt = 0; attempt < 6; ++attempt) {
    Table* table = Set()->Newest();
    if (static_cast<int64_t>(sys::LoadRelaxed(&table->live)) >= table->grow_at) {
      Grow(table);
      table = Set()->Newest();
    }
    Entry entry = ReserveIn(table, address);
    if (!entry) {  // a crowded corner
      Grow(table);
      continue;
    }
    // Had the table become an old one meanwhile, its emptying might have passed this line already.
    if (Set()->Newest() == table) {
      Count(&table->live, address, 1);
      return entry;
    }
    Release(entry);
  }
  return Entry{};
}

LiveTable::Found LiveTable::ClaimInLine(Table* table, uint64_t index, uint64_t address, Entry* entry) {
  const uint64_t visible = (address & kAddressMask) | kVisible;
  Line& line = table->lines[index];
  // Three looks: it may begin to move between the first and the second, and be put back between the second and the third.
  do {
    for (uint32_t mask = Matches(line, visible); mask != 0; mask &= mask - 1) {
      const uint32_t way = FirstWay(mask);
      if (!sys::CompareExchangePrivate(&line.key[way], visible, (address & kAddressMask) | kReserved)) continue;
      Count(&table->live, address, -1);
      *entry = Entry{&line.key[way], &table->payloads[index * kWays + way], nullptr};
      return Found::kYes;
    }
    const uint32_t mask = Matches(line, (address & kAddressMask) | kMoving);
    if (__builtin_expect(mask != 0, 0)) return AwaitMove(&line.key[FirstWay(mask)], address);
  } while (__builtin_expect(Matches(line, visible) != 0, 0));
  return Found::kNo;
}

// The entry of `address` was being moved by another thread just now.
LiveTable::Found LiveTable::AwaitMove(uint64_t* key, uint64_t address) {
  const uint64_t moving = (address & kAddressMask) | kMoving;
  for (int i = 0; i < kMoveWaits; ++i) {
    if (sys::LoadRelaxed(key) != moving) return Found::kMovedOn;
    if (i < kMoveSpins) sys::Pause();
    else sys::Call(SYS_sched_yield);
  }
  // The mover is stopped. Leave it word; it retires the record when it runs again (MoveLine).
  return sys::CompareExchangePrivate(key, moving, moving | kTaken) ? Found::kTakenWhileMoving : Found::kMovedOn;
}

LiveTable::Found LiveTable::ClaimIn(Table* table, uint64_t address, Entry* entry) {
  const uint64_t home = HomeLine(address, table->home_lines);
  Found found = ClaimInLine(table, home, address, entry);
  const uint64_t displaced = sys::LoadAcquire(&table->lines[home].displaced);
  if (__builtin_expect(found != Found::kNo || DisplacedCount(displaced) == 0, 1)) return found;
  for (uint64_t index = home + 1; index <= home + DisplacedReach(displaced) && found == Found::kNo; ++index) {
    found = ClaimInLine(table, index, address, entry);
  }
  if (found == Found::kYes) entry->displaced = &table->lines[home].displaced;
  return found;
}

LiveTable::Entry LiveTable::ClaimSlow(uint64_t address) {
  Entry entry;
  for (int attempt = 0; attempt < 8; ++attempt) {
    // Old before new: an entry on its way is visible in the new table before it leaves the old one.
    const Tables* set = Set();
    Found found = Found::kNo;
    for (uint32_t t = 0; t < set->count && found == Found::kNo; ++t) found = ClaimIn(set->at[t], address, &entry);
    if (found == Found::kYes || found == Found::kTakenWhileMoving) return entry;
    // Again when it moved under our eyes, or a growth began between two looks.
    if (found == Found::kNo && Set() == set) return Entry{};
  }
  return entry;
}

bool LiveTable::LineMayHold(const Line& line, uint64_t address) {
  for (uint32_t way = 0; way < kWays; ++way) {
    uint64_t key = sys::LoadRelaxed(&line.key[way]);
    if ((key & kAddressMask) == (address & kAddressMask) && (key & (kVisible | kMoving)) != 0) return true;
  }
  return false;
}

bool LiveTable::MayContainIn(const Table* table, uint64_t address) const {
  const uint64_t home = HomeLine(address, table->home_lines);
  if (LineMayHold(table->lines[home], address)) return true;
  const uint64_t displaced = sys::LoadAcquire(&table->lines[home].displaced);
  if (__builtin_expect(DisplacedCount(displaced) == 0, 1)) return false;
  for (uint64_t index = home + 1; index <= home + DisplacedReach(displaced); ++index) {
    if (LineMayHold(table->lines[index], address)) return true;
  }
  return false;
}

bool LiveTable::MayContain(uint64_t address) const {
  const Tables* set = Set();
  for (uint32_t t = 0; t < set->count; ++t) {
    if (MayContainIn(set->at[t], address)) return true;
  }
  return Set() != set;  // a table came or went meanwhile: let Claim look properly
}

bool LiveTable::Emptied(const Table* table, uint64_t first, uint64_t end) {
  // No key any more. That a line may still lead to one beyond is asked by who goes on using the rest.
  for (uint64_t line = first; line < end; ++line) {
    for (uint32_t way = 0; way < kWays; ++way) {
      if (sys::LoadRelaxed(&table->lines[line].key[way]) != 0) return false;
    }
  }
  return true;
}

bool LiveTable::LeadsBeyond(const Table* table, uint64_t first, uint64_t end) {
  for (uint64_t line = first; line < end; ++line) {
    if (DisplacedCount(sys::LoadRelaxed(&table->lines[line].displaced)) != 0) return true;
  }
  return false;
}

// The mapping stays, its memory goes: a reader that still looks sees empty lines.
void LiveTable::GiveBack(Table* table, uint64_t chunk) {
  if (table->given_back[chunk] != 0) return;
  table->given_back[chunk] = 1;
  const uint64_t first = chunk * kChunkLines;
  const uint64_t lines = table->all_lines - first < kChunkLines ? table->all_lines - first : kChunkLines;
  sys::Discard(table->lines + first, lines * sizeof(Line));
  sys::Discard(table->payloads + first * kWays, lines * kWays * sizeof(Payload));
}

// The chunk before the last moved one, if nothing is there any more: of the last one's entries some may be in the next.
void LiveTable::GiveBackMoved(Table* table) {
  const uint64_t moved = table->moved_lines;
  if (moved % kChunkLines != 0 || moved < 2 * kChunkLines) return;
  const uint64_t first = moved - 2 * kChunkLines, end = moved - kChunkLines;
  if (Emptied(table, first, end) && !LeadsBeyond(table, first, end)) GiveBack(table, first / kChunkLines);
}

void LiveTable::Retire(Table* table) {
  if (!Replace(nullptr, table)) return;
  for (uint64_t chunk = 0; chunk * kChunkLines < table->all_lines; ++chunk) GiveBack(table, chunk);
}

void LiveTable::Grow(Table* full) {
  if (!lock_.Acquire(generation_)) return;
  if (Set()->Newest() == full && Set()->count < kMaxTables) {
    // x1.4: right after growth the load is 0.54, so a live block costs at most 1.9 entries of 33 bytes.
    Table* larger = MakeTable(full->home_lines + full->home_lines * 2 / 5);
    if (larger != nullptr) Replace(larger, nullptr);
  }
  lock_.Release();
}

// By rate migration keeps ahead: Reserve moves eight lines a block, and a table takes two blocks a line to fill. What has
// been moved is given back as it goes, so that the old table shrinks while the new one fills.
void LiveTable::Migrate(uint32_t lines) {
  if (!lock_.TryAcquire(generation_)) return;
  for (; Set()->count > 1 && lines > 0; --lines) {
    Table* oldest = Set()->at[0];
    if (oldest->moved_lines < oldest->all_lines) {
      MoveLine(oldest, Set()->Newest(), oldest->moved_lines++);
      GiveBackMoved(oldest);
    } else if (Emptied(oldest, 0, oldest->all_lines)) {
      Retire(oldest);
    } else {
      oldest->moved_lines = 0;  // keys that were owned when their line was passed have become visible since
    }
  }
  lock_.Release();
}

void LiveTable::MoveLine(Table* from, Table* to, uint64_t line) {
  for (uint32_t way = 0; way < kWays; ++way) {
    uint64_t* key = &from->lines[line].key[way];
    uint64_t seen = sys::LoadAcquire(key);
    if ((seen & kVisible) == 0) continue;
    const uint64_t address = seen & kAddressMask;
    if (!sys::CompareExchangePrivate(key, seen, address | kMoving)) continue;  // freed just now
    const uint64_t home = HomeLine(address, from->home_lines);
    uint64_t* displaced = home == line ? nullptr : &from->lines[home].displaced;
    Payload payload = from->payloads[line * kWays + way];
    Entry moved = ReserveIn(to, address);
    if (!moved) {  // no room: stay
      if (!sys::CompareExchangePrivate(key, address | kMoving, seen)) {
        Release(Entry{key, nullptr, displaced});
        if (finish_taken != nullptr) finish_taken(payload);
      }
      continue;
    }
    Count(&to->live, address, 1);
    *moved.payload = payload;
    Publish(moved, address);
    if (sys::CompareExchangePrivate(key, address | kMoving, uint64_t{0})) {
      if (displaced != nullptr) Undisplace(displaced);
      continue;
    }
    // A free came while it moved. Its address may be in use again already, so finish exactly this entry.
    if (sys::CompareExchangePrivate(moved.key, address | kVisible, address | kReserved)) {
      Release(moved);
      Count(&to->live, address, -1);
      if (finish_taken != nullptr) finish_taken(payload);
    }
    Release(Entry{key, nullptr, displaced});
  }
}

uint64_t LiveTable::Size() const {
  uint64_t size = 0;
  const Tables* set = Set();
  for (uint32_t t = 0; t < set->count; ++t) size += sys::LoadRelaxed(&set->at[t]->live);
  return size;
}

void LiveTable::AfterFork(uint32_t generation) {
  generation_ = generation;
  lock_ = sys::SpinLock();
  const Tables* set = Set();
  for (uint32_t t = 0; t + 1 < set->count; ++t) {
    Table* table = set->at[t];
    for (uint64_t line = 0; line < table->all_lines; ++line) {
      for (uint32_t way = 0; way < kWays; ++way) {
        // A move cut in two: the copy in the newest table, if published, is the one; this one leaves. Else it stays.
        uint64_t& key = table->lines[line].key[way];
        if ((key & kMoving) == 0) continue;
        const uint64_t address = key & kAddressMask;
        const bool taken = (key & kTaken) != 0;
        key = 0;
        if (!taken && !MayContainIn(set->Newest(), address)) {
          key = address | kVisible;
        } else if (const uint64_t home = HomeLine(address, table->home_lines); home != line) {
          Undisplace(&table->lines[home].displaced);
        }
      }
    }
  }
}

}  // namespace leakhunt::core
