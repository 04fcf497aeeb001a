#include "preload/core/inherited.h"

#include "preload/core/process.h"
#include "preload/core/ref_table.h"
#include "preload/core/sampler.h"
#include "preload/core/stacks.h"
#include "preload/sys/atomic.h"
#include "preload/sys/clock.h"
#include "preload/sys/memory.h"

namespace leakhunt::core {
namespace {

using protocol::InheritedTally;

constexpr uint32_t kPerArea = 4 * 4096 / sizeof(InheritedTally);

struct Inherited {
  bool published = false;
  // Of each generation: its stack reference -> InheritedTally, as file offset / 64. A reference means one stack in one
  // generation's pages and another stack in another's.
  RefTable by_stack[kGenerationsKept];
  InheritedTally* page = nullptr;
  uint64_t file_offset = 0;
  uint32_t used = 0;
  uint64_t* pcs = nullptr;
};
constinit Inherited g_inherited;

uint64_t Key(uint32_t stack) { return uint64_t{stack} << 32; }

RefTable* StacksOf(uint16_t generation) { return &g_inherited.by_stack[generation % kGenerationsKept]; }

InheritedTally* Find(uint16_t generation, uint32_t stack) {
  uint32_t found = StacksOf(generation)->Find(Key(stack), [](uint32_t) { return true; });
  if (found == 0) return nullptr;
  return reinterpret_cast<InheritedTally*>(g_process.pages->At(uint64_t{found} * sizeof(InheritedTally)));
}

// The stack is unknown where the generation is too far away.
InheritedTally* Add(uint16_t generation, uint32_t its_stack) {
  Inherited& in = g_inherited;
  RefTable* stacks = StacksOf(generation);
  if (!stacks->Exists() && !stacks->Create(g_process.generation, 512)) return nullptr;
  if (in.page == nullptr || in.used == kPerArea) {
    transport::Area area = g_process.pages->Allocate(protocol::AreaKind::kInheritedBlocks, 4, 0);
    if (area.start == nullptr) return nullptr;
    in.page = reinterpret_cast<InheritedTally*>(area.start);
    in.file_offset = area.file_offset;
    in.used = 0;
  }
  const RecordedGeneration* recorded = GenerationOf(generation);
  uint32_t frames = recorded == nullptr ? 0 : ReadStack(recorded->pages, its_stack, in.pcs, protocol::kMaxFrames);
  uint32_t stack = InternStack(nullptr, in.pcs, frames, 0);
  InheritedTally* tally = &in.page[in.used];
  stacks->Insert(Key(its_stack), static_cast<uint32_t>(in.file_offset / sizeof(InheritedTally) + in.used));
  ++in.used;
  sys::StoreRelease(&tally->stack, stack);  // partner: the collector's sweep
  return tally;
}

struct Weight {
  uint64_t bytes, count_256;
  double variance;
};

Weight WeightOf(uint64_t size_interval) {
  uint64_t size = protocol::SizeOf(size_interval);
  double p = Sampler::Probability(size, protocol::DecodeInterval(protocol::IntervalCodeOf(size_interval)));
  double bytes = static_cast<double>(size) / p;
  return Weight{static_cast<uint64_t>(bytes + 0.5), static_cast<uint64_t>(256 / p + 0.5), (1 - p) * bytes * bytes};
}

}  // namespace

void PublishInherited() {
  Inherited& in = g_inherited;
  if (in.published || !IsForkedChild()) return;
  in.published = true;
  in.pcs = static_cast<uint64_t*>(sys::Carve(protocol::kMaxFrames * sizeof(uint64_t)));
  if (in.pcs == nullptr) return;
  const uint16_t own = static_cast<uint16_t>(g_process.generation);
  // Ticks of an entry count from the start of the process that recorded it.
  const int64_t realtime_offset = Header()->started_realtime_ns - static_cast<int64_t>(Header()->started_ns);
  g_process.live.ForEach([&](uint64_t, const Payload& payload) {
    if (payload.generation == own) return;
    InheritedTally* tally = Find(payload.generation, payload.stack);
    if (tally == nullptr) tally = Add(payload.generation, payload.stack);
    if (tally == nullptr) return;
    Weight weight = WeightOf(payload.size_interval);
    ++tally->samples;
    tally->live_bytes += weight.bytes;
    tally->live_count_256 += weight.count_256;
    double variance = __builtin_bit_cast(double, tally->live_bytes_var) + weight.variance;
    tally->live_bytes_var = __builtin_bit_cast(uint64_t, variance);
    const RecordedGeneration* recorded = GenerationOf(payload.generation);
    const uint64_t born_ns =
        recorded == nullptr ? g_process.started_ns : recorded->started_ns + payload.birth_tick * protocol::kTickNs;
    const uint64_t born_ms = (born_ns + static_cast<uint64_t>(realtime_offset)) / 1'000'000;
    if (tally->oldest_realtime_ms == 0 || born_ms < tally->oldest_realtime_ms) tally->oldest_realtime_ms = born_ms;
  });
}

void InheritedFreed(const Payload& payload) {
  if (!g_inherited.published) return;
  InheritedTally* tally = Find(payload.generation, payload.stack);
  if (tally == nullptr) return;
  Weight weight = WeightOf(payload.size_interval);
  sys::AddRelaxed(&tally->live_bytes, ~weight.bytes + 1);
  sys::AddRelaxed(&tally->live_count_256, ~weight.count_256 + 1);
  sys::AddRelaxed(&tally->died_samples, uint64_t{1});
}

void ForgetInherited() { g_inherited = Inherited(); }

}  // namespace leakhunt::core
