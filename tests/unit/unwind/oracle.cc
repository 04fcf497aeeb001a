#define UNW_LOCAL_ONLY
#include "tests/unit/unwind/oracle.h"

#include <dlfcn.h>
#include <libunwind.h>

#include <cstdio>

#include "preload/protocol/layout.h"
#include "preload/unwind/path_cache.h"

namespace leakhunt::unwind_test {
namespace {

using unwind::Registers;
using unwind::StackLimits;

constinit Tally g_tally;
constinit thread_local StackLimits t_limits{0, 0};
constinit thread_local unwind::PathCache* t_paths = nullptr;

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

// FNV-1a (Fowler, Noll & Vo) folded to 32 bits, never 0: the word that stands for a stack.
uint32_t WordOf(const uint64_t* pcs, uint32_t frames) {
  uint64_t hash = 14695981039346656037u;
  for (uint32_t i = 0; i < frames; ++i) hash = (hash ^ pcs[i]) * 1099511628211u, hash ^= hash >> 29;
  return static_cast<uint32_t>(hash ^ hash >> 32) | 1;
}

// What the path cache promises: the result of Walk, or the word that was kept for exactly that stack.
bool CheckKnown(const Registers& start, const uint64_t* pcs, unwind::WalkResult expected) {
  if (t_paths == nullptr) t_paths = static_cast<unwind::PathCache*>(__builtin_calloc(1, sizeof(unwind::PathCache)));
  uint64_t cached[kMostFrames];
  uint32_t* known = nullptr;
  unwind::WalkResult result = unwind::WalkKnown(start, t_limits, t_paths, cached, kMostFrames, &known);
  if (result.frames != expected.frames || result.stop != expected.stop) return false;
  const uint32_t word = WordOf(pcs, expected.frames);
  if (known != nullptr && *known != 0) {
    __atomic_fetch_add(&g_tally.known, 1, __ATOMIC_RELAXED);
    return *known == word;
  }
  if (known != nullptr) *known = word;
  return __builtin_memcmp(cached, pcs, 8 * result.frames) == 0;
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
  if (!CheckKnown(start, ours, result)) __atomic_fetch_add(&g_tally.known_differs, 1, __ATOMIC_RELAXED);
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
