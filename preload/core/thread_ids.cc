#include "preload/core/thread_ids.h"

#include <errno.h>
#include <pthread.h>

#include "preload/core/process.h"
#include "preload/sys/syscall.h"

namespace leakhunt::core {
namespace {

// Bytes from pthread_t to the tid: glibc on x86-64 and on aarch64 (struct pthread, nptl/descr.h); musl on both (struct
// pthread, src/internal/pthread_impl.h).
constexpr uint64_t kOffsets[] = {720, 208, 48, 32};
constexpr uint64_t kNotLookedFor = 0, kUnknown = ~uint64_t{0};
constinit uint64_t g_offset = kNotLookedFor;

bool ReadWord(uint64_t address, uint32_t* word) { return g_process.pages->ReadWord(address, word); }

uint64_t FindOffset() {
  const auto self = static_cast<uint64_t>(pthread_self());
  const auto tid = static_cast<uint32_t>(sys::GetTid());
  for (const uint64_t offset : kOffsets) {
    uint32_t word = 0;
    if (ReadWord(self + offset, &word) && word == tid) return offset;
  }
  return kUnknown;
}

}  // namespace

uint32_t TidOf(uint64_t thread) {
  if (g_offset == kNotLookedFor) g_offset = FindOffset();
  uint32_t tid = 0;
  const bool read = g_offset != kUnknown && ReadWord(thread + g_offset, &tid);
  return read && tid < (1u << 22) ? tid : 0;
}

bool ThreadHasEnded(uint32_t tid) {
  return sys::Call(SYS_tgkill, static_cast<long>(g_process.pid), static_cast<long>(tid), 0) == -ESRCH;
}

}  // namespace leakhunt::core
