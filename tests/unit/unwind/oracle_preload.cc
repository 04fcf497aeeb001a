// A preload library for the tests: compares the unwinder with libunwind at allocations of a real program.
//
//   LD_PRELOAD=…/libunwind_oracle_preload.so ORACLE_OUT=FILE [ORACLE_EVERY=N] PROGRAM …
//
// Appends one line a process to FILE: "walks N same N known_differs N frames N known N stops …".
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

#include "tests/unit/unwind/oracle.h"

namespace {

using namespace leakhunt;

constinit thread_local bool t_busy = false;
constinit bool g_ready = false;
constinit uint64_t g_every = 1, g_calls = 0;

// The program's own allocator (redis brings jemalloc). glibc's dlsym does not allocate when it finds the name.
template <typename Function>
Function Next(const char* name) {
  return reinterpret_cast<Function>(dlsym(RTLD_NEXT, name));
}

[[gnu::constructor]] void Start() {
  unwind::Initialize();
  if (const char* every = getenv("ORACLE_EVERY")) g_every = strtoull(every, nullptr, 10);
  g_ready = true;
}

[[gnu::destructor]] void Report() {
  g_ready = false;
  const char* path = getenv("ORACLE_OUT");
  if (path == nullptr) return;
  const unwind_test::Tally& t = unwind_test::Totals();
  unwind::WalkCounters c = unwind::Counters();
  char line[500];
  int n = snprintf(line, sizeof(line),
                   "walks %lu same %lu known_differs %lu frames %lu known %lu bottom %lu depth %lu norule %lu bad %lu "
                   "unsupported %lu general %lu by_fp %lu decoded %lu %s\n",
                   t.walks, t.same, t.known_differs, t.frames, t.known, t.stops[0], t.stops[1], t.stops[2], t.stops[3],
                   t.stops[4], c.general_walks, c.frame_pointer_steps, c.decoded_rows, program_invocation_short_name);
  int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (fd >= 0 && write(fd, line, n) == n) close(fd);
}

void Observe() {
  if (!g_ready || t_busy || __atomic_fetch_add(&g_calls, 1, __ATOMIC_RELAXED) % g_every != 0) return;
  t_busy = true;
  unwind_test::CompareWalks();
  t_busy = false;
}

}  // namespace

extern "C" {
[[gnu::visibility("default")]] void* malloc(size_t bytes) {
  static void* (*next)(size_t) = nullptr;
  if (next == nullptr) next = Next<void* (*)(size_t)>("malloc");
  Observe();
  return next(bytes);
}
[[gnu::visibility("default")]] void* calloc(size_t count, size_t bytes) {
  static void* (*next)(size_t, size_t) = nullptr;
  if (next == nullptr) next = Next<void* (*)(size_t, size_t)>("calloc");
  Observe();
  return next(count, bytes);
}
[[gnu::visibility("default")]] void* realloc(void* block, size_t bytes) {
  static void* (*next)(void*, size_t) = nullptr;
  if (next == nullptr) next = Next<void* (*)(void*, size_t)>("realloc");
  Observe();
  return next(block, bytes);
}
}
