#include "preload/core/governor.h"

#include "preload/core/handles.h"
#include "preload/core/inherited.h"
#include "preload/core/interval_control.h"
#include "preload/core/tracker.h"
#include "preload/sys/atomic.h"
#include "preload/sys/clock.h"
#include "preload/sys/memory.h"
#include "preload/sys/own_stack.h"
#include "preload/sys/syscall.h"
#include "preload/transport/connection.h"
#include "preload/unwind/unwinder.h"

namespace leakhunt::core {
namespace {

constexpr uint64_t kTickNs = 100'000'000;
constexpr uint64_t kForkAndExecNs = 20'000'000;
// A visit costs more than the time that is measured: the way in and out, frees that look for a block and find none, what is displaced in
// near caches. When measured time counted once, servers beside one that is not recorded paid 1.35 to 1.45 % (redis) and 1.4 %
// (nginx) for sampling under a budget of 1 % (docs/benchmarks.md).
constexpr uint64_t kCostPercentOfTime = 140;
constexpr uint32_t kMostGranted = 32;
// For so many openings housekeeping may be due without being done, if it was done less than so many ticks ago.
constexpr uint64_t kMostOpeningsWhenDue = 448;
constexpr uint32_t kSoonTicks = 2;
struct Governor {
  uint64_t timed_start_ns = 0;  // of the thread that times now; one at a time is enough
  uint64_t heap_unit_cost_ns = 400, other_unit_cost_ns = 400;  // of a visit
  uint64_t clock_cost_ns = 0;   // of reading the clock, which a timed visit contains; 0 = not measured yet
  uint64_t next_tick_ns = 0;
  uint64_t last_ns = 0;  // when the interval was judged last; 0 = never
  uint64_t last_cpu_ns = 0;
  uint64_t heap_visits = 0;
  uint64_t passed_256 = 0;  // blocks that were not sampled, times 256
  uint64_t last_visits = 0;
  uint64_t last_passed_256 = 0;
  uint64_t last_all_visits = 0;
  uint64_t last_bytes = 0;
  uint64_t parents_fallback_walks = 0;  // in a forked child
};
constinit Governor g_governor;

void NoteActivity(uint64_t now_ns) {
  protocol::ProcessHeader* header = Header();
  uint32_t used = header->activity_points;
  if (used == protocol::kActivityPoints) {  // drop every second point of the older half
    uint32_t half = used / 2, kept = 0;
    for (uint32_t i = 0; i < half; i += 2) header->activity[kept++] = header->activity[i];
    for (uint32_t i = half; i < used; ++i) header->activity[kept++] = header->activity[i];
    used = kept;
  }
  header->activity[used] = {now_ns, sys::LoadRelaxed(&header->allocated_bytes)};
  sys::StoreRelease(&header->activity_points, used + 1);
}

void ChooseInterval(uint64_t now_ns) {
  Governor& g = g_governor;
  protocol::ProcessHeader* header = Header();
  const uint64_t cpu = sys::ProcessCpuNs();
  if (cpu - g.last_cpu_ns < 20'000'000) return;  // too little to judge by
  const uint64_t visits = sys::LoadRelaxed(&g.heap_visits);
  const uint64_t all_visits = sys::LoadRelaxed(&header->slow_visits);
  const uint64_t passed_256 = sys::LoadRelaxed(&g.passed_256);
  const uint64_t bytes = sys::LoadRelaxed(&header->allocated_bytes);
  const uint64_t last_ns = g.last_ns != 0 ? g.last_ns : g_process.started_ns;
  CostReading reading;
  reading.cpu_ns = static_cast<double>(cpu - g.last_cpu_ns);
  reading.elapsed_s = now_ns > last_ns ? static_cast<double>(now_ns - last_ns) * 1e-9 : 1e-3;
  reading.heap_visits = static_cast<double>(visits - g.last_visits);
  reading.other_visits = static_cast<double>(all_visits - g.last_all_visits) - reading.heap_visits;
  reading.passed_blocks = static_cast<double>(passed_256 - g.last_passed_256) / 256;
  reading.bytes = static_cast<double>(bytes - g.last_bytes);
  reading.heap_unit_ns = static_cast<double>(sys::LoadRelaxed(&g.heap_unit_cost_ns));
  reading.other_unit_ns = static_cast<double>(sys::LoadRelaxed(&g.other_unit_cost_ns));
  g.last_ns = now_ns;
  g.last_cpu_ns = cpu;
  g.last_visits = visits;
  g.last_passed_256 = passed_256;
  g.last_all_visits = all_visits;
  g.last_bytes = bytes;
  if (g_process.options.sample_bytes != 0) return;
  const uint64_t now = sys::LoadRelaxed(&g_process.interval_bytes);
  const uint64_t next = NextInterval(reading, g_process.options.budget_ppm * 1e-6, now);
  if (next != now) SetInterval(next);
}

uint64_t ClockCost() {
  uint64_t least = 1000;
  for (int i = 0; i < 4; ++i) {
    uint64_t before = sys::MonotonicNs();
    uint64_t passed = sys::MonotonicNs() - before;
    if (passed < least) least = passed;
  }
  return least + 1;
}

void Tick(uint64_t now_ns) {
  protocol::ProcessHeader* header = Header();
  CheckPages();
  NoteActivity(now_ns);
  ChooseInterval(now_ns);
  sys::StoreRelaxed(&header->private_bytes, sys::PrivateBytes());
  sys::StoreRelaxed(&header->brk_now, static_cast<uint64_t>(sys::Call(SYS_brk, 0)));
  // A forked child that outlives a fork-and-exec shows what it inherited; later than that it may be killed any time.
  if (IsForkedChild() && now_ns > g_process.started_ns + kForkAndExecNs) PublishInherited();
  if (!InSharedMemoryChild()) transport::KeepConnected(now_ns);
}

// When the next housekeeping is due, and whether its visit is timed. There is always one kHousekeepEvery before that, of an opening
// where openings are granted: the longer way costs more where it has not been taken for long.
void ChooseNext(ThreadState* state, uint64_t visit, bool opening) {
  if (state->timing || visit == 0) state->timing_due = visit + kTimedEvery;
  const uint64_t next = visit + kHousekeepEvery, last_before = state->timing_due - kHousekeepEvery;
  state->timing = visit >= last_before && (opening || !state->granted);
  state->granted = false;
  state->housekeeping_due = visit < last_before && last_before < next ? last_before : next;
}

}  // namespace

void PublishFallbackWalks() {
  const uint64_t walks = unwind::Counters().general_walks - g_governor.parents_fallback_walks;
  uint64_t* shown = &Header()->fallback_walks;
  if (sys::LoadRelaxed(shown) != walks) sys::StoreRelaxed(shown, walks);
}

void ForgetMeasurements() {
  g_governor.last_cpu_ns = g_governor.heap_visits = g_governor.last_visits = g_governor.last_bytes = 0;
  g_governor.last_all_visits = g_governor.passed_256 = g_governor.last_passed_256 = 0;
  g_governor.last_ns = g_governor.next_tick_ns = 0;
  g_governor.parents_fallback_walks = unwind::Counters().general_walks;
}

void BeginDueVisit(ThreadState* state) {
  if (!state->timing) return;
  state->heap_visits_before = state->heap_visits_pending;
  if (g_governor.clock_cost_ns == 0) sys::StoreRelaxed(&g_governor.clock_cost_ns, ClockCost());
  sys::StoreRelaxed(&g_governor.timed_start_ns, sys::MonotonicNs());
}

bool GrantOpenings(ThreadState* state) {
  const uint32_t tick = NowTick();  // never 0, which is the opening_tick of a thread that was granted none
  if (state->visits >= state->housekeeping_due) {
    const bool timing = state->timing || state->visits + kHousekeepEvery >= state->timing_due;
    const bool done_soon = tick - state->housekept_tick < kSoonTicks;
    if (timing || !done_soon || state->visits - state->housekeeping_due >= kMostOpeningsWhenDue) return false;
  }
  uint32_t granted = 1;
  if (tick == state->opening_tick) granted = state->granted_openings < kMostGranted ? 2 * state->granted_openings : kMostGranted;
  state->opening_tick = tick;
  state->granted_openings = state->openings_left = granted;
  state->granted = true;
  state->visits += granted;
  return true;
}

void Housekeep(ThreadState* state, bool opening) {
  Governor& g = g_governor;
  const uint64_t visit = state->visits - 1;
  if (state->timing) {
    uint64_t cost = sys::MonotonicNs() - sys::LoadRelaxed(&g.timed_start_ns);
    cost = cost > g.clock_cost_ns ? cost - g.clock_cost_ns : 0;
    uint64_t* unit = state->heap_visits_pending != state->heap_visits_before ? &g.heap_unit_cost_ns : &g.other_unit_cost_ns;
    if (cost < 100'000) sys::StoreRelaxed(unit, (sys::LoadRelaxed(unit) * 7 + cost * kCostPercentOfTime / 100) / 8);  // else: preempted
  }
  ChooseNext(state, visit, opening);
  if (visit == 0) return;
  const uint64_t done = state->visits - state->visits_counted;
  state->visits_counted = state->visits;
  protocol::ProcessHeader* header = Header();
  sys::AddRelaxed(&header->slow_visits, done);
  const uint64_t heap = state->heap_visits_pending < done ? state->heap_visits_pending : done;
  const uint64_t own_ns = heap * sys::LoadRelaxed(&g.heap_unit_cost_ns) +
                          (done - heap) * sys::LoadRelaxed(&g.other_unit_cost_ns) + state->passed_pending_256 * kPassedBlockNs / 256;
  sys::AddRelaxed(&header->own_cpu_ns, own_ns);
  sys::AddRelaxed(&g.heap_visits, state->heap_visits_pending);
  sys::AddRelaxed(&g.passed_256, state->passed_pending_256);
  state->heap_visits_pending = state->passed_pending_256 = 0;
  sys::AddRelaxed(&header->allocated_bytes, state->activity_pending);
  if (state->record != nullptr) {
    sys::AddOwned(&state->record->allocated_bytes, state->activity_pending);
    sys::AddOwned(&state->record->own_cpu_ns, own_ns);
  }
  state->activity_pending = 0;
  PublishFallbackWalks();
  state->housekept_tick = NowTick();
  const uint64_t now = sys::MonotonicCoarseNs();
  uint64_t due = sys::LoadRelaxed(&g.next_tick_ns);
  if (now < due || !sys::CompareExchange(&g.next_tick_ns, due, now + kTickNs)) return;
  if (state->record != nullptr) sys::Call(SYS_prctl, 16 /* PR_GET_NAME */, sys::Word(state->record->name));
  (void)sys::OnOwnStackOrHere([=] { Tick(now); });  // where no stack is to be had, the next tick comes in 100 ms
}

void SetInterval(uint64_t interval_bytes) {
  if (interval_bytes < 1) interval_bytes = 1;
  if (interval_bytes > (uint64_t{1} << 31)) interval_bytes = uint64_t{1} << 31;
  protocol::ProcessHeader* header = Header();
  uint64_t floor = sys::LoadRelaxed(&header->floor_interval_bytes);
  if (interval_bytes < floor) interval_bytes = floor;
  interval_bytes = protocol::DecodeInterval(protocol::EncodeInterval(interval_bytes));
  if (interval_bytes == 1 && g_process.options.sample_bytes != 0) g_filter.Saturate();
  sys::StoreRelaxed(&g_process.interval_bytes, interval_bytes);
  sys::StoreRelaxed(&header->interval_bytes, static_cast<uint32_t>(interval_bytes));
  uint32_t used = header->sampling_points;
  if (used == protocol::kSamplingPoints) {
    for (uint32_t i = 1; i < used; ++i) header->sampling[i - 1] = header->sampling[i];
    --used;
  }
  header->sampling[used] = {sys::MonotonicCoarseNs(), interval_bytes};
  sys::StoreRelease(&header->sampling_points, used + 1);
}

}  // namespace leakhunt::core
