#define UNW_LOCAL_ONLY
#include "tests/unit/unwind/oracle.h"

#include <dlfcn.h>
#include <libunwind.h>

#include <cstdio>

#include "preload/protocol/layout.h"

namespace leakhunt::unwind_test {
namespace {

using unwind::Registers;
using unwind::StackLimits;

constinit Tally g_tally;
constinit thread_local StackLimits t_limits{0, 0};
constinit thread_local unwind::WalkMemo* t_memo = nullptr;
constinit thread_local uint64_t* t_last = nullptr;  // last memo walk's frames
constinit thread_local uint32_t t_last_frames = 0;

// Frames of the caller's caller and outwards.
[[gnu::always_inline]] inline uint32_t WalkByOracle(uint64_t* pcs) {
  unw_context_t context;
  unw_cursor_t cursor;
  unw_getcontext(&context);
  unw_init_local(&cursor, &context);
  uint32_t n = 0;
  while (n < kMostFrames && unw_step(&cursor) > 0) {
    unw_word_t pc = 0;
    unw_get_reg(&cursor, UNW_REG_IP, &pc);
    if (pc == 0) break;
    pcs[n++] = pc;
  }
  return n;
}

uint64_t Address(uint64_t frame) { return frame & ~protocol::kFrameExactPc; }

bool Same(const uint64_t* ours, uint32_t n, const uint64_t* theirs, uint32_t m) {
  if (n != m) return false;
  for (uint32_t i = 0; i < n; ++i) {
    if (Address(ours[i]) != theirs[i]) return false;
  }
  return true;
}

void Show(const char* what, const uint64_t* pcs, uint32_t n) {
  fprintf(stderr, "%s: %u frames\n", what, n);
  for (uint32_t i = 0; i < n; ++i) {
    Dl_info info{};
    dladdr(reinterpret_cast<void*>(Address(pcs[i])), &info);
    fprintf(stderr, "  %2u %#lx %s+%#lx (%s)\n", i, pcs[i], info.dli_fname ? info.dli_fname : "?",
            Address(pcs[i]) - reinterpret_cast<uint64_t>(info.dli_fbase), info.dli_sname ? info.dli_sname : "?");
  }
}

// The memo's promises: the result of Walk, and a tail that is the last result's.
bool CheckMemo(const Registers& start, const uint64_t* pcs, unwind::WalkResult expected) {
  static_assert(sizeof(unwind::WalkMemo) >= kMostFrames);
  if (t_memo == nullptr) {
    t_memo = static_cast<unwind::WalkMemo*>(__builtin_calloc(1, sizeof(unwind::WalkMemo)));
    t_last = static_cast<uint64_t*>(__builtin_calloc(kMostFrames, 8));
  }
  uint64_t by_memo[kMostFrames];
  uint32_t reused = 0;
  unwind::WalkResult result = unwind::WalkWithMemo(start, t_limits, t_memo, by_memo, kMostFrames, &reused);
  bool same = result.frames == expected.frames && result.stop == expected.stop &&
              __builtin_memcmp(by_memo, pcs, 8 * result.frames) == 0;
  same = same && reused <= result.frames && reused <= t_last_frames;
  same = same && (reused == 0 || __builtin_memcmp(by_memo + result.frames - reused, t_last + t_last_frames - reused,
                                                  8 * reused) == 0);
  __builtin_memcpy(t_last, by_memo, 8 * result.frames);
  t_last_frames = result.frames;
  __atomic_fetch_add(&g_tally.reused, reused, __ATOMIC_RELAXED);
  return same;
}

}  // namespace

void CompareWalks(uint32_t show) {
  uint64_t ours[kMostFrames], theirs[kMostFrames];
  Registers start;
  unwind::CaptureCaller(&start);
  uint32_t m = WalkByOracle(theirs);
  if (start.sp < t_limits.low || start.sp >= t_limits.high) unwind::FindStackLimits(start.sp, &t_limits);
  unwind::WalkResult result = unwind::Walk(start, t_limits, ours, kMostFrames);
  uint64_t number = __atomic_fetch_add(&g_tally.walks, 1, __ATOMIC_RELAXED);
  __atomic_fetch_add(&g_tally.stops[static_cast<int>(result.stop)], 1, __ATOMIC_RELAXED);
  __atomic_fetch_add(&g_tally.frames, result.frames, __ATOMIC_RELAXED);
  if (!CheckMemo(start, ours, result)) __atomic_fetch_add(&g_tally.memo_differs, 1, __ATOMIC_RELAXED);
  if (Same(ours, result.frames, theirs, m)) {
    __atomic_fetch_add(&g_tally.same, 1, __ATOMIC_RELAXED);
  } else if (number - g_tally.same < show) {
    fprintf(stderr, "walk %lu, stop %d\n", number, static_cast<int>(result.stop));
    Show("ours", ours, result.frames);
    Show("libunwind", theirs, m);
  }
}

Tally& Totals() { return g_tally; }
void ForgetLimits() { t_limits = {0, 0}; }

}  // namespace leakhunt::unwind_test
