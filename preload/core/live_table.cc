#include "preload/core/live_table.h"

#include "preload/sys/atomic.h"
#include "preload/sys/memory.h"
#include "preload/sys/syscall.h"

namespace leakhunt::core {
namespace {

constexpr uint64_t kFirstLines = 512;  // 3,584 entries, touched as used
constexpr int kMoveSpins = 2'000;        // ~50 us
constexpr int kMoveWaits = kMoveSpins + 200;

// Fibonacci hashing (Knuth, TAOCP 6.4) with one fold; then fastrange (Lemire 2019) onto any number of lines.
uint64_t HomeLine(uint64_t address, uint64_t lines) {
  uint64_t h = (address >> 4) * 0x9E37'79B9'7F4A'7C15u;
  h ^= h >> 32;
  h *= 0xD6E8'FEB8'6659'FD93u;
  return static_cast<uint64_t>((static_cast<unsigned __int128>(h) * lines) >> 64);
}

}  // namespace

LiveTable::Table* LiveTable::MakeTable(uint64_t home_lines) {
  uint64_t all_lines = home_lines + home_lines / 4;
  auto* table = static_cast<Table*>(sys::Carve(sizeof(Table)));
  if (table == nullptr) return nullptr;
  table->lines = static_cast<Line*>(sys::MapPrivate(all_lines * sizeof(Line)));
  table->payloads = static_cast<Payload*>(sys::MapPrivate(all_lines * kWays * sizeof(Payload)));
  if (table->lines == nullptr || table->payloads == nullptr) return nullptr;
  table->home_lines = home_lines;
  table->all_lines = all_lines;
  return table;
}

bool LiveTable::Create(uint32_t generation) {
  generation_ = generation;
  current_ = MakeTable(kFirstLines);
  return current_ != nullptr;
}

LiveTable::Entry LiveTable::ReserveIn(Table* table, uint64_t address) {
  const uint64_t reserved = (address & kAddressMask) | kReserved;
  uint64_t index = HomeLine(address, table->home_lines);
  for (;;) {
    Line& line = table->lines[index];
    for (uint32_t way = 0; way < kWays; ++way) {
      if (sys::LoadRelaxed(&line.key[way]) == 0 && sys::CompareExchange(&line.key[way], uint64_t{0}, reserved)) {
        return Entry{&line.key[way], &table->payloads[index * kWays + way]};
      }
    }
    uint64_t next = sys::LoadAcquire(&line.next);  // partner: the CAS below
    if (next == 0) {
      uint64_t fresh = sys::AddRelaxed(&table->overflow_used, uint64_t{1});
      if (table->home_lines + fresh >= table->all_lines) return Entry{};
      next = table->home_lines + fresh + 1;
      // A loser's overflow line stays unused until the table is replaced.
      if (!sys::CompareExchange(&line.next, uint64_t{0}, next)) next = sys::LoadAcquire(&line.next);
    }
    index = next - 1;
  }
}

LiveTable::Entry LiveTable::Reserve(uint64_t address) {
  for (int attempt = 0; attempt < 4; ++attempt) {
    if (sys::LoadRelaxed(&old_) != nullptr) Migrate(4);
    Table* table = sys::LoadAcquire(&current_);  // partner: Grow
    if (sys::LoadRelaxed(&table->live) >= table->home_lines * 5) {  // 5 of 7 ways: overflow lines stay rare
      Grow(table);
      table = sys::LoadAcquire(&current_);
    }
    Entry entry = ReserveIn(table, address);
    if (!entry) continue;
    // Had the table become the old one meanwhile, its emptying might have passed this line already.
    if (sys::LoadAcquire(&current_) == table) {
      sys::AddRelaxed(&table->live, uint64_t{1});
      return entry;
    }
    Release(entry);
  }
  return Entry{};
}

void LiveTable::Publish(Entry entry, uint64_t address) {
  sys::StoreRelease(entry.key, (address & kAddressMask) | kVisible);  // partner: ClaimIn's CAS
}

void LiveTable::Release(Entry entry) { sys::StoreRelease(entry.key, uint64_t{0}); }

LiveTable::Found LiveTable::ClaimIn(Table* table, uint64_t address, Entry* entry) {
  const uint64_t visible = (address & kAddressMask) | kVisible;
  const uint64_t moving = (address & kAddressMask) | kMoving;
  uint64_t index = HomeLine(address, table->home_lines);
  for (;;) {
    Line& line = table->lines[index];
    for (uint32_t way = 0; way < kWays; ++way) {
      uint64_t key = sys::LoadRelaxed(&line.key[way]);
      if (key == visible && sys::CompareExchange(&line.key[way], visible, (address & kAddressMask) | kReserved)) {
        sys::AddRelaxed(&table->live, ~uint64_t{0});
        *entry = Entry{&line.key[way], &table->payloads[index * kWays + way]};
        return Found::kYes;
      }
      if (key != moving) continue;
      for (int i = 0; i < kMoveWaits; ++i) {
        if (sys::LoadRelaxed(&line.key[way]) != moving) return Found::kMovedOn;
        if (i < kMoveSpins) sys::Pause();
        else sys::Call(SYS_sched_yield);
      }
      // The mover is stopped. Leave it word; it retires the record when it runs again (MoveLine).
      return sys::CompareExchange(&line.key[way], moving, moving | kTaken) ? Found::kTakenWhileMoving : Found::kMovedOn;
    }
    uint64_t next = sys::LoadAcquire(&line.next);
    if (next == 0 || next > table->all_lines) return Found::kNo;
    index = next - 1;
  }
}

LiveTable::Entry LiveTable::Claim(uint64_t address) {
  Entry entry;
  for (int attempt = 0; attempt < 8; ++attempt) {
    // Old before new: an entry on its way is visible in the new table before it leaves the old one.
    Table* current = sys::LoadAcquire(&current_);
    Found found = Found::kNo;
    if (Table* old = sys::LoadAcquire(&old_); old != nullptr) found = ClaimIn(old, address, &entry);
    if (found == Found::kNo) found = ClaimIn(current, address, &entry);
    if (found == Found::kYes || found == Found::kTakenWhileMoving) return entry;
    // Again when it moved under our eyes, or a growth began between the two looks.
    if (found == Found::kNo && sys::LoadAcquire(&current_) == current) return Entry{};
  }
  return entry;
}

bool LiveTable::MayContainIn(const Table* table, uint64_t address) const {
  const uint64_t wanted = address & kAddressMask;
  uint64_t index = HomeLine(address, table->home_lines);
  for (;;) {
    const Line& line = table->lines[index];
    for (uint32_t way = 0; way < kWays; ++way) {
      uint64_t key = sys::LoadRelaxed(&line.key[way]);
      if ((key & kAddressMask) == wanted && (key & (kVisible | kMoving)) != 0) return true;
    }
    uint64_t next = sys::LoadAcquire(&line.next);
    if (next == 0 || next > table->all_lines) return false;
    index = next - 1;
  }
}

bool LiveTable::MayContain(uint64_t address) const {
  const Table* old = sys::LoadAcquire(&old_);
  return (old != nullptr && MayContainIn(old, address)) || MayContainIn(sys::LoadAcquire(&current_), address);
}

bool LiveTable::Emptied(const Table* table) const {
  for (uint64_t line = 0; line < table->all_lines; ++line) {
    for (uint32_t way = 0; way < kWays; ++way) {
      if (sys::LoadRelaxed(&table->lines[line].key[way]) != 0) return false;
    }
  }
  return true;
}

// The mapping stays, its memory goes: a reader that still holds the old pointer sees empty lines.
void LiveTable::Retire(Table* table) {
  sys::StoreRelease(&old_, static_cast<Table*>(nullptr));
  sys::Discard(table->lines, table->all_lines * sizeof(Line));
  sys::Discard(table->payloads, table->all_lines * kWays * sizeof(Payload));
}

void LiveTable::Grow(Table* full) {
  if (!lock_.Acquire(generation_)) return;
  // The table before must be empty first: at most two tables at any time. By rate it is (Reserve moves four lines a
  // block, and a table takes 2.5 blocks a line before it is full).
  if (sys::LoadRelaxed(&current_) == full && old_ == nullptr) {
    // x1.5: right after growth the load is 0.48, so a live block costs at most 2.1 entries of 33 bytes.
    Table* larger = MakeTable(full->home_lines + full->home_lines / 2);
    if (larger != nullptr) {
      sys::StoreRelease(&old_, full);  // before current_: who sees the new table sees the old one
      sys::StoreRelease(&current_, larger);
    }
  }
  lock_.Release();
}

void LiveTable::Migrate(uint32_t lines) {
  if (!lock_.TryAcquire(generation_)) return;
  for (; old_ != nullptr && lines > 0; --lines) {
    Table* old = old_;
    if (old->moved_lines < old->all_lines) {
      MoveLine(old, current_, old->moved_lines++);
    } else if (Emptied(old)) {
      Retire(old);
    } else {
      old->moved_lines = 0;  // keys that were owned when their line was passed have become visible since
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
    if (!sys::CompareExchange(key, seen, address | kMoving)) continue;  // freed just now
    Payload payload = from->payloads[line * kWays + way];
    Entry moved = ReserveIn(to, address);
    if (!moved) {  // no room: stay
      if (!sys::CompareExchange(key, address | kMoving, seen)) {
        Release(Entry{key, nullptr});
        if (finish_taken != nullptr) finish_taken(payload);
      }
      continue;
    }
    sys::AddRelaxed(&to->live, uint64_t{1});
    *moved.payload = payload;
    Publish(moved, address);
    if (!sys::CompareExchange(key, address | kMoving, uint64_t{0})) {
      // A free came while it moved. Its address may be in use again already, so finish exactly this entry.
      if (sys::CompareExchange(moved.key, address | kVisible, address | kReserved)) {
        Release(moved);
        sys::AddRelaxed(&to->live, ~uint64_t{0});
        if (finish_taken != nullptr) finish_taken(payload);
      }
      Release(Entry{key, nullptr});
    }
  }
}

uint64_t LiveTable::Size() const {
  const Table* old = sys::LoadAcquire(&old_);
  return sys::LoadRelaxed(&sys::LoadAcquire(&current_)->live) + (old != nullptr ? sys::LoadRelaxed(&old->live) : 0);
}

void LiveTable::AfterFork(uint32_t generation) {
  generation_ = generation;
  lock_ = sys::SpinLock();
  for (Table* table : {old_, current_}) {
    if (table == nullptr) continue;
    for (uint64_t line = 0; line < table->all_lines; ++line) {
      for (uint32_t way = 0; way < kWays; ++way) {
        // A move cut in two: the copy in the new table, if published, is the one; this one leaves. Otherwise it stays.
        uint64_t& key = table->lines[line].key[way];
        if ((key & kMoving) == 0) continue;
        uint64_t address = key & kAddressMask;
        bool taken = (key & kTaken) != 0;
        key = 0;
        if (!taken && !MayContainIn(current_, address)) key = address | kVisible;
      }
    }
  }
}

}  // namespace leakhunt::core
