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
  RefTable by_stack;  // parent's stack reference -> InheritedTally, as file offset / 64
  InheritedTally* page = nullptr;
  uint64_t file_offset = 0;
  uint32_t used = 0;
  uint64_t* pcs = nullptr;
};
constinit Inherited g_inherited;

uint64_t Key(uint32_t stack) { return uint64_t{stack} << 32; }

InheritedTally* Find(uint32_t stack) {
  uint32_t found = g_inherited.by_stack.Find(Key(stack), [](uint32_t) { return true; });
  if (found == 0) return nullptr;
  return reinterpret_cast<InheritedTally*>(g_process.pages->At(uint64_t{found} * sizeof(InheritedTally)));
}

InheritedTally* Add(uint32_t parent_stack) {
  Inherited& in = g_inherited;
  if (in.page == nullptr || in.used == kPerArea) {
    transport::Area area = g_process.pages->Allocate(protocol::AreaKind::kInheritedBlocks, 4, 0);
    if (area.start == nullptr) return nullptr;
    in.page = reinterpret_cast<InheritedTally*>(area.start);
    in.file_offset = area.file_offset;
    in.used = 0;
  }
  uint32_t frames = ReadStack(g_process.parent_pages, parent_stack, in.pcs, protocol::kMaxFrames);
  uint32_t stack = InternStack(nullptr, in.pcs, frames, 0);
  InheritedTally* tally = &in.page[in.used];
  in.by_stack.Insert(Key(parent_stack), static_cast<uint32_t>(in.file_offset / sizeof(InheritedTally) + in.used));
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
  if (in.published || g_process.parent_pages == nullptr) return;
  in.published = true;
  in.pcs = static_cast<uint64_t*>(sys::Carve(protocol::kMaxFrames * sizeof(uint64_t)));
  if (in.pcs == nullptr || !in.by_stack.Create(g_process.generation, 1024)) return;
  const uint16_t own = static_cast<uint16_t>(g_process.generation);
  // Ticks of an entry count from the start of the process that recorded it.
  const int64_t realtime_offset = Header()->started_realtime_ns - static_cast<int64_t>(Header()->started_ns);
  g_process.live.ForEach([&](uint64_t, const Payload& payload) {
    if (payload.generation == own) return;
    InheritedTally* tally = Find(payload.stack);
    if (tally == nullptr) tally = Add(payload.stack);
    if (tally == nullptr) return;
    Weight weight = WeightOf(payload.size_interval);
    ++tally->samples;
    tally->live_bytes += weight.bytes;
    tally->live_count_256 += weight.count_256;
    double variance = __builtin_bit_cast(double, tally->live_bytes_var) + weight.variance;
    tally->live_bytes_var = __builtin_bit_cast(uint64_t, variance);
    uint64_t origin = g_process.origins_ns[payload.generation % kOrigins];
    uint64_t born_ms = (origin + payload.birth_tick * protocol::kTickNs + static_cast<uint64_t>(realtime_offset)) / 1'000'000;
    if (tally->oldest_realtime_ms == 0 || born_ms < tally->oldest_realtime_ms) tally->oldest_realtime_ms = born_ms;
  });
}

void InheritedFreed(const Payload& payload) {
  if (!g_inherited.published) return;
  InheritedTally* tally = Find(payload.stack);
  if (tally == nullptr) return;
  Weight weight = WeightOf(payload.size_interval);
  sys::AddRelaxed(&tally->live_bytes, ~weight.bytes + 1);
  sys::AddRelaxed(&tally->live_count_256, ~weight.count_256 + 1);
  sys::AddRelaxed(&tally->died_samples, uint64_t{1});
}

void ForgetInherited() { g_inherited = Inherited(); }

}  // namespace leakhunt::core
