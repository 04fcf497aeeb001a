#include "preload/core/tracker.h"

#include "preload/core/governor.h"
#include "preload/core/inherited.h"
#include "preload/core/process.h"
#include "preload/core/stacks.h"
#include "preload/sys/atomic.h"
#include "preload/sys/clock.h"

namespace leakhunt::core {

constinit AddressFilter g_filter;

namespace {

// 1: a stale record was found in this process, so frees pass the hooks (a library opened with RTLD_DEEPBIND, a `free` from
// dlsym, `__libc_free`). Until then an exact recording looks for no record inside a new block: each look is a cache miss.
constinit uint32_t g_frees_pass_by = 0;

constexpr uint64_t kBlockStep = 16;         // blocks start at multiples of it, those of 8 bytes in some allocators excepted
constexpr uint64_t kMostLooks = 16'384;     // 256 KiB of a new block, some 100 us
constexpr uint64_t kMostPages = 4096;       // of a new mapping

using protocol::BlockKind;
using protocol::RecordSlot;
using protocol::SlotState;
using protocol::StackTally;

// What a recorded block of `size` stands for.
struct Weight {
  uint64_t bytes;
  uint64_t count_256;
  double bytes_variance, count_variance;
};

[[gnu::noinline]] Weight SampledWeight(uint64_t size_interval) {
  uint64_t size = protocol::SizeOf(size_interval);
  double p = Sampler::Probability(size, protocol::DecodeInterval(protocol::IntervalCodeOf(size_interval)));
  if (p >= 1) return Weight{size, 256, 0, 0};
  double bytes = static_cast<double>(size) / p;
  return Weight{static_cast<uint64_t>(bytes + 0.5), static_cast<uint64_t>(256 / p + 0.5), (1 - p) * bytes * bytes,
                (1 - p) / (p * p)};
}

bool IsExact(uint64_t size_interval) { return size_interval >> 48 == protocol::EncodeInterval(1); }

[[gnu::always_inline]] inline Weight WeightOf(uint64_t size_interval) {
  if (__builtin_expect(IsExact(size_interval), 1)) return Weight{protocol::SizeOf(size_interval), 256, 0, 0};
  return SampledWeight(size_interval);
}

void AddDouble(uint64_t* bits, double value, bool shared) {
  if (value == 0) return;
  for (;;) {
    uint64_t seen = sys::LoadRelaxed(bits);
    uint64_t sum = __builtin_bit_cast(uint64_t, __builtin_bit_cast(double, seen) + value);
    if (!shared) return sys::StoreRelaxed(bits, sum);
    if (sys::CompareExchange(bits, seen, sum)) return;
  }
}

[[gnu::always_inline]] inline void Add(uint64_t* counter, uint64_t value, bool shared) {
  if (shared) sys::AddRelaxed(counter, value);
  else sys::AddOwned(counter, value);
}

// What is left of a cut mapping is as old as before: the latest stays the latest. Written once in 2.56 s.
[[gnu::always_inline]] inline void NoteBirth(StackTally* tally, BlockKind kind, uint32_t birth_tick) {
  const uint32_t kind_birth = protocol::PackKindBirth(kind, birth_tick);
  if (kind_birth > sys::LoadRelaxed(&tally->kind_birth)) sys::StoreRelaxed(&tally->kind_birth, kind_birth);
}

}  // namespace

void TallyBorn(ThreadState* state, uint32_t stack, BlockKind kind, uint64_t size_interval, uint32_t birth_tick) {
  bool shared;
  StackTally* tally = FindTally(state, stack, kind, &shared);
  if (__builtin_expect(IsExact(size_interval) && !shared, 1)) {
    const uint64_t bytes = protocol::SizeOf(size_interval);
    state->activity_pending += bytes;
    NoteBirth(tally, kind, birth_tick);
    sys::AddOwned(&tally->samples, uint64_t{1});
    sys::AddOwned(&tally->born_bytes, bytes);
    sys::AddOwned(&tally->born_count_256, uint64_t{256});
    return;
  }
  Weight weight = WeightOf(size_interval);
  state->activity_pending += weight.bytes;
  state->passed_pending_256 += weight.count_256 - 256;
  if (tally == nullptr) return;
  NoteBirth(tally, kind, birth_tick);
  Add(&tally->samples, 1, shared);
  Add(&tally->born_bytes, weight.bytes, shared);
  Add(&tally->born_count_256, weight.count_256, shared);
  AddDouble(&tally->born_bytes_var, weight.bytes_variance, shared);
  AddDouble(&tally->born_count_var, weight.count_variance, shared);
}

namespace {

uint32_t LifetimeBucket(uint32_t lifetime_ticks) {
  uint32_t bits = lifetime_ticks == 0 ? 0 : 32 - static_cast<uint32_t>(__builtin_clz(lifetime_ticks));
  return bits < protocol::kLifetimeBuckets ? bits : protocol::kLifetimeBuckets - 1;
}

}  // namespace

void TallyDied(ThreadState* state, uint32_t stack, BlockKind kind, uint64_t size_interval, uint32_t birth_tick) {
  bool shared;
  StackTally* tally = FindTally(state, stack, kind, &shared);
  if (tally == nullptr) return;
  Add(&tally->died_samples, 1, shared);
  Add(&tally->died_bytes, WeightOf(size_interval).bytes, shared);
  uint32_t* bucket = &tally->lifetimes[LifetimeBucket(NowTick() - birth_tick)];
  if (shared) sys::AddRelaxed(bucket, 1u);
  else sys::AddOwned(bucket, 1u);
}

void TallyShrunk(ThreadState* state, uint32_t stack, BlockKind kind, uint64_t bytes) {
  bool shared;
  StackTally* tally = FindTally(state, stack, kind, &shared);
  if (tally != nullptr) Add(&tally->died_bytes, bytes, shared);
}

namespace {

void TallyDeath(ThreadState* state, const Payload& payload, BlockKind kind) {
  TallyDied(state, payload.stack, kind, payload.size_interval, payload.birth_tick);
}

RecordSlot* SlotOf(const Payload& payload) {
  return reinterpret_cast<RecordSlot*>(g_process.pages->At(uint64_t{payload.slot} * sizeof(RecordSlot)));
}

uint16_t Generation() { return static_cast<uint16_t>(g_process.generation); }

// Only the byte that holds the state: the word need not be loaded, and a slot freed long after its birth is in no cache.
void MarkDead(RecordSlot* slot) {
  static_assert(protocol::PackState(0, SlotState::kDead) <= 0xFF && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__);
  sys::StoreRelease(reinterpret_cast<uint8_t*>(&slot->state), static_cast<uint8_t>(SlotState::kDead));  // partner: sweep, TakeSlot
}

uint64_t NextState(ThreadState* state) {
  uint64_t count = ++state->next_generation;
  return (count << 16 | (state->index & 0xFFFF));  // layout.h: ThreadOf
}

}  // namespace

void FillSlot(ThreadState* state, RecordSlot* slot, uint64_t address, uint64_t size_interval, uint32_t stack,
              uint32_t birth_tick, BlockKind kind) {
  const uint64_t generation = NextState(state);
  sys::StoreRelaxed(&slot->state, protocol::PackState(generation, SlotState::kFilling));
  sys::StoreRelease(&slot->size_interval, size_interval);
  sys::StoreRelaxed(&slot->stack_birth, protocol::PackStack(stack, birth_tick));
  sys::StoreRelaxed(&slot->address_kind, protocol::PackAddress(address, kind, t_local.scope));
  sys::StoreRelease(&slot->state, protocol::PackState(generation, SlotState::kLive));  // partner: the collector's sweep
}

namespace {

// The block of a claimed entry is gone. The caller owns `entry`. Inlined: an entry that is passed goes through memory, and
// is read again in other pieces than it was written in, which waits for every store before it.
[[gnu::always_inline]] inline void Retire(ThreadState* state, LiveTable::Entry entry, uint64_t address) {
  const Payload payload = *entry.payload;
  if (payload.generation == Generation()) {
    if (RecordSlot* slot = SlotOf(payload); slot != nullptr) {
      MarkDead(slot);
      GiveBackSlot(state, slot, uint64_t{payload.slot} * sizeof(RecordSlot));
    } else {
      SwitchOff("its table of live blocks was overwritten");
    }
    TallyDeath(state, payload, BlockKind::kHeap);
  } else {
    InheritedFreed(payload);
  }
  g_filter.Remove(address);
  LiveTable::Release(entry);
}

// The free of what was recorded at this address was never seen.
[[gnu::noinline]] void RetireStale(ThreadState* state, LiveTable::Entry stale, uint64_t address) {
  sys::AddRelaxed(&Header()->stale_records, uint64_t{1});
  sys::StoreRelaxed(&g_frees_pass_by, 1u);
  Retire(state, stale, address);
}

// The records of blocks that start inside a new block, behind its own start. Its memory is the caller's alone, so no such
// block lives. (One that a realloc is moving away just now is claimed, and not found.)
[[gnu::noinline]] void RetireInside(ThreadState* state, uint64_t address, uint64_t size) {
  const uint64_t first = (address + kBlockStep) & ~(kBlockStep - 1);
  for (uint64_t at = first, looks = 0; at < address + size && looks < kMostLooks; at += kBlockStep, ++looks) {
    if (!g_filter.MayHold(at)) continue;
    if (LiveTable::Entry stale = g_process.live.Of(at).Claim(at)) RetireStale(state, stale, at);
  }
}

bool HoldsRecord(uint64_t address) { return g_filter.MayHold(address) && g_process.live.Of(address).MayContain(address); }

// As RetireInside, with the start itself, before anything is done about it.
bool HoldsRecords(uint64_t address, uint64_t size) {
  if (HoldsRecord(address)) return true;
  const uint64_t first = (address + kBlockStep) & ~(kBlockStep - 1);
  for (uint64_t at = first, looks = 0; at < address + size && looks < kMostLooks; at += kBlockStep, ++looks) {
    if (HoldsRecord(at)) return true;
  }
  return false;
}

[[gnu::always_inline]] inline void Record(ThreadState* state, uint64_t address, uint64_t size, uint16_t interval_code, const unwind::Registers* caller) {
  LiveTable& live = g_process.live.Of(address);
  const LiveTable::Place place = live.PlaceOf(address);
  LiveTable::Prefetch(place);  // arrives while the stack is walked
  uint32_t stack = CaptureStack(state, caller);
  if (LiveTable::Entry stale = live.Claim(place); __builtin_expect(bool{stale}, 0)) RetireStale(state, stale, address);
  if (__builtin_expect(sys::LoadRelaxed(&g_frees_pass_by) != 0, 0)) RetireInside(state, address, size);
  uint64_t file_offset = 0;
  RecordSlot* slot = TakeSlot(state, &file_offset);
  LiveTable::Entry entry = slot == nullptr ? LiveTable::Entry{} : live.Reserve(place);
  if (!entry) return CountLoss(size);
  uint32_t tick = NowTick();
  uint64_t size_interval = protocol::PackSize(size, interval_code);
  uint16_t scope = t_local.scope;
  FillSlot(state, slot, address, size_interval, stack, tick, BlockKind::kHeap);
  *entry.payload = Payload{static_cast<uint32_t>(file_offset / sizeof(RecordSlot)), stack, size_interval, tick, scope, Generation()};
  g_filter.Add(address);
  LiveTable::Publish(entry, address);
  TallyBorn(state, stack, BlockKind::kHeap, size_interval, tick);
}

void FinishTaken(const Payload& payload) {
  if (payload.generation != Generation()) return InheritedFreed(payload);
  if (RecordSlot* slot = SlotOf(payload); slot != nullptr) MarkDead(slot);
  if (t_local.state != nullptr) TallyDeath(t_local.state, payload, BlockKind::kHeap);
}

// Wraps the work of one visit: guard, state, timing.
template <typename Work>
[[gnu::always_inline]] inline bool Visit(uint64_t loss_bytes, Work work) {
  if (!Enter()) {
    if (loss_bytes != 0 && g_process.mode == Mode::kRecording && t_local.paused == 0) CountLoss(loss_bytes);
    return false;
  }
  ThreadState* state = EnsureThreadState();
  if (state == nullptr) {
    t_local.countdown = uint64_t{1} << 20;
    CountLoss(loss_bytes);
    Leave();
    return false;
  }
  VisitBegin(state);
  ++state->heap_visits_pending;
  work(state);
  VisitEnd(state);
  Leave();
  return true;
}

bool Tracks(uint32_t bit) { return (g_process.options.track & bit) != 0; }

}  // namespace

void InitializeTracker() { g_process.live.SetFinishTaken(FinishTaken); }

void BlockBornSlow(uint64_t address, uint64_t size_bytes, const unwind::Registers* caller) {
  Visit(size_bytes, [&](ThreadState* state) {
    if (!Tracks(protocol::kTrackHeap)) {
      t_local.countdown = ~uint64_t{0};
      return;
    }
    const uint16_t code = state->sampler.IntervalCode();
    if (state->sampler.Decide(size_bytes, &t_local.countdown) && t_local.paused == 0) {
      Record(state, address, size_bytes, code, caller);
    } else {
      LiveTable::Entry stale = g_process.live.Of(address).Claim(address);
      if (stale) RetireStale(state, stale, address);
      if (sys::LoadRelaxed(&g_frees_pass_by) != 0) RetireInside(state, address, size_bytes);
    }
    AdoptInterval(state);
  });
}

void BlockFreedSlow(uint64_t address) {
  if (g_process.mode != Mode::kRecording) return;
  // Where every block is recorded, asking first is asking twice.
  const bool exact = t_local.state != nullptr && t_local.state->sampler.Interval() <= 1;
  if (!exact && t_local.busy == 0 && !g_process.live.Of(address).MayContain(address)) return;
  LiveTable& live = g_process.live.Of(address);
  const LiveTable::Place place = live.PlaceOf(address);
  LiveTable::PrefetchAll(place);
  if (Visit(0, [&](ThreadState* state) {
        LiveTable::Entry entry = live.Claim(place);
        if (entry) Retire(state, entry, address);
      })) {
    return;
  }
  // Inside leakhunt (a signal handler frees): state still has to be true, the tally can wait for nobody.
  LiveTable::Entry entry = g_process.live.Of(address).Claim(address);
  if (!entry) return;
  if (entry.payload->generation == Generation() && ProcessIsAlive()) {
    if (RecordSlot* slot = SlotOf(*entry.payload); slot != nullptr) MarkDead(slot);
  }
  g_filter.Remove(address);
  LiveTable::Release(entry);
}

void RetireStaleSlow(uint64_t address, uint64_t size_bytes) {
  if (g_process.mode != Mode::kRecording || !HoldsRecords(address, size_bytes)) return;
  Visit(0, [&](ThreadState* state) {
    LiveTable::Entry entry = g_process.live.Of(address).Claim(address);
    if (entry) RetireStale(state, entry, address);
    RetireInside(state, address, size_bytes);
  });
}

// Allocators give back whole pages, and the blocks that have pages of their own start at a page or behind a header of 16 bytes.
void RetireUnderMapping(uint64_t start, uint64_t bytes) {
  constexpr uint64_t kPage = 4096, kHeader = 16;
  if (sys::LoadRelaxed(&g_frees_pass_by) == 0 || g_process.mode != Mode::kRecording) return;
  for (uint64_t page = 0; page < bytes / kPage && page < kMostPages; ++page) {
    RetireStaleSlow(start + page * kPage, 1);
    RetireStaleSlow(start + page * kPage + kHeader, 1);
  }
}

Resize ResizeBeginSlow(uint64_t address) {
  Resize resize;
  if (g_process.mode != Mode::kRecording) return resize;
  // Not under Enter: the entry stays claimed over the real realloc, during which the thread is not busy.
  LiveTable::Entry entry = g_process.live.Of(address).Claim(address);
  if (!entry) return resize;
  resize = Resize{entry, address};
  if (entry.payload->generation == Generation() && ProcessIsAlive()) {
    if (RecordSlot* slot = SlotOf(*entry.payload); slot != nullptr) {
      uint64_t generation = protocol::GenerationOf(sys::LoadRelaxed(&slot->state));
      sys::StoreRelease(&slot->state, protocol::PackState(generation, SlotState::kResizing));
    }
  }
  return resize;
}

namespace {

// The record stays the same one (slot, birth); its size, stack and address are the new ones.
void Resized(ThreadState* state, LiveTable::Entry old_entry, uint64_t old_address, uint64_t address, uint64_t size,
             uint16_t interval_code, const unwind::Registers* caller) {
  Payload payload = *old_entry.payload;
  RecordSlot* slot = payload.generation == Generation() ? SlotOf(payload) : nullptr;
  LiveTable::Entry stale = address == old_address ? LiveTable::Entry{} : g_process.live.Of(address).Claim(address);
  if (stale) RetireStale(state, stale, address);
  if (__builtin_expect(sys::LoadRelaxed(&g_frees_pass_by) != 0, 0)) RetireInside(state, address, size);
  LiveTable::Entry entry = slot == nullptr ? LiveTable::Entry{} : g_process.live.Of(address).Reserve(address);
  if (!entry) {  // inherited from the parent, or no room: a death and, as usual, a birth
    Retire(state, old_entry, old_address);
    Record(state, address, size, interval_code, caller);
    return;
  }
  TallyDeath(state, payload, BlockKind::kHeap);
  uint32_t stack = CaptureStack(state, caller);
  uint64_t size_interval = protocol::PackSize(size, interval_code);
  sys::StoreRelaxed(&slot->size_interval, size_interval);  // one word: a reader sees the old or the new size
  sys::StoreRelaxed(&slot->stack_birth, protocol::PackStack(stack, payload.birth_tick));
  sys::StoreRelaxed(&slot->address_kind, protocol::PackAddress(address, BlockKind::kHeap, payload.scope));
  sys::StoreRelease(&slot->state, protocol::PackState(NextState(state), SlotState::kLive));
  *entry.payload = Payload{payload.slot, stack, size_interval, payload.birth_tick, payload.scope, payload.generation};
  g_filter.Add(address);
  LiveTable::Publish(entry, address);
  g_filter.Remove(old_address);
  LiveTable::Release(old_entry);
  TallyBorn(state, stack, BlockKind::kHeap, size_interval, NowTick());
}

void PutBack(LiveTable::Entry entry, uint64_t address) {
  if (entry.payload->generation == Generation() && ProcessIsAlive()) {
    if (RecordSlot* slot = SlotOf(*entry.payload); slot != nullptr) {
      uint64_t generation = protocol::GenerationOf(sys::LoadRelaxed(&slot->state));
      sys::StoreRelease(&slot->state, protocol::PackState(generation, SlotState::kLive));
    }
  }
  LiveTable::Publish(entry, address);
}

// Of a block that had a record. Not in line: its frame would lie under that of BlockBornSlow.
[[gnu::noinline]] void EndRecorded(const Resize& resize, ResizeOutcome outcome, uint64_t address, uint64_t size_bytes, bool sampled,
                                  const unwind::Registers* caller) {
  LiveTable::Entry old_entry = resize.entry;
  bool visited = Visit(0, [&](ThreadState* state) {
    uint16_t code = state->sampler.IntervalCode();
    bool take = outcome == ResizeOutcome::kMoved && sampled && t_local.paused == 0 &&
                state->sampler.Decide(size_bytes, &t_local.countdown);
    if (take) Resized(state, old_entry, resize.old_address, address, size_bytes, code, caller);
    else Retire(state, old_entry, resize.old_address);
    AdoptInterval(state);
  });
  if (visited) return;
  // In a signal handler inside leakhunt: the old block is gone, the new one cannot be recorded.
  if (outcome == ResizeOutcome::kMoved) CountLoss(size_bytes);
  if (old_entry.payload->generation == Generation() && ProcessIsAlive()) {
    if (RecordSlot* slot = SlotOf(*old_entry.payload); slot != nullptr) MarkDead(slot);
  }
  g_filter.Remove(resize.old_address);
  LiveTable::Release(old_entry);
}

}  // namespace

void ResizeEndSlow(const Resize& resize, ResizeOutcome outcome, uint64_t address, uint64_t size_bytes, bool sampled,
                   const unwind::Registers* caller) {
  LiveTable::Entry old_entry = resize.entry;
  if (!old_entry) {
    if (outcome == ResizeOutcome::kMoved) sampled ? BlockBornSlow(address, size_bytes, caller) : RetireStaleSlow(address, size_bytes);
    return;
  }
  if (outcome == ResizeOutcome::kFailed) return PutBack(old_entry, resize.old_address);
  EndRecorded(resize, outcome, address, size_bytes, sampled, caller);
}

}  // namespace leakhunt::core
