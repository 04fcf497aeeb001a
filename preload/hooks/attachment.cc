// What leakhunt-collect calls in a running program that was not started with the library: on one of the program's own
// threads, which it stopped outside of the allocator and the loader (collector/attach).
#include "preload/hooks/attachment.h"

#include <errno.h>
#include <time.h>

#include "preload/core/process.h"
#include "preload/core/thread_state.h"
#include "preload/hooks/allocator.h"
#include "preload/hooks/hook.h"
#include "preload/hooks/standing.h"
#include "preload/imports/redirection.h"
#include "preload/protocol/attachment.h"
#include "preload/sys/clock.h"
#include "preload/sys/hot.h"
#include "preload/sys/syscall.h"

extern "C" int on_exit(void (*function)(int, void*), void* argument) __attribute__((weak));

namespace leakhunt::hooks {

LEAKHUNT_HOT_WORD uint32_t g_imports_due = 0;

}  // namespace leakhunt::hooks

// dlopen chooses where to search by its caller's address, so no frame of ours may be there when it runs: a note, and a
// jump. No object's imports lead here unless redirected.
extern "C" {
__attribute__((visibility("hidden"))) constinit void* leakhunt_real_dlopen = nullptr;
__attribute__((visibility("hidden"))) constinit uint32_t leakhunt_objects_loaded = 0;
__attribute__((visibility("hidden"))) void* leakhunt_noting_dlopen(const char*, int);
}
#if defined(__x86_64__)
asm(R"(
  .text
  .p2align 4
  .type leakhunt_noting_dlopen, @function
leakhunt_noting_dlopen:
  movl $1, leakhunt_objects_loaded(%rip)
  movl $1, _ZN8leakhunt5hooks13g_imports_dueE(%rip)
  jmp *leakhunt_real_dlopen(%rip)
  .size leakhunt_noting_dlopen, . - leakhunt_noting_dlopen
)");
#elif defined(__aarch64__)
asm(R"(
  .text
  .p2align 2
  .type leakhunt_noting_dlopen, %function
leakhunt_noting_dlopen:
  mov w17, #1
  adrp x16, leakhunt_objects_loaded
  str w17, [x16, #:lo12:leakhunt_objects_loaded]
  adrp x16, _ZN8leakhunt5hooks13g_imports_dueE
  str w17, [x16, #:lo12:_ZN8leakhunt5hooks13g_imports_dueE]
  adrp x16, leakhunt_real_dlopen
  ldr x16, [x16, #:lo12:leakhunt_real_dlopen]
  br x16
  .size leakhunt_noting_dlopen, . - leakhunt_noting_dlopen
)");
#endif

namespace leakhunt::hooks {
namespace {

using protocol::AttachResult;

constexpr uint64_t kSecondLookNs = 200'000'000;  // later than any lazy binding that was under way

constinit uint64_t g_second_look_ns = 0;  // 0: none is due
constinit bool g_exit_noted = false;

uint64_t FindReal(const char* name) { return reinterpret_cast<uint64_t>(FindNext(name)); }
uint64_t FindExecutables(const char* name) {
  ++core::t_local.busy;
  void* found = FindAllocatorFunction(name);
  --core::t_local.busy;
  return reinterpret_cast<uint64_t>(found);
}

void PrepareRedirection(imports::Extent extent) {
  leakhunt_real_dlopen = FindNext("dlopen");
  imports::InitializeRedirection(extent, extent == imports::Extent::kAll ? FindReal : FindExecutables,
                                 reinterpret_cast<uint64_t>(&leakhunt_noting_dlopen));
}

// Tries until no object is being unloaded; a second at most.
template <typename Try>
imports::Redirection Patiently(Try redirect) {
  constexpr uint64_t kPatienceNs = 1'000'000'000, kPauseNs = 200'000;
  uint64_t deadline_ns = sys::MonotonicNs() + kPatienceNs;
  for (;;) {
    imports::Redirection result = redirect();
    if (result.done || sys::MonotonicNs() > deadline_ns) return result;
    timespec pause{0, kPauseNs};
    sys::Call(SYS_nanosleep, sys::Word(&pause), 0);
  }
}

void LookAgainLater() {
  g_second_look_ns = sys::MonotonicNs() + kSecondLookNs;
  sys::StoreRelaxed(&g_imports_due, 1u);
}

void ExitsWith(int status, void*) { core::ProcessExits(status); }

}  // namespace

void ServeImportsSlow() {
  if (core::t_local.busy != 0 || !core::ProcessIsAlive() || core::g_process.mode != core::Mode::kRecording) return;
  uint64_t second_look_ns = sys::LoadRelaxed(&g_second_look_ns);
  bool is_time = second_look_ns != 0 && sys::MonotonicNs() >= second_look_ns;
  if (!is_time && sys::LoadRelaxed(&leakhunt_objects_loaded) == 0) return;
  if (!sys::CompareExchange(&g_imports_due, 1u, 0u)) return;
  sys::StoreRelaxed(&leakhunt_objects_loaded, 0u);
  bool done = imports::RedirectToHooks().done;
  if (!done) sys::StoreRelaxed(&leakhunt_objects_loaded, 1u);
  if (done && is_time) sys::StoreRelaxed(&g_second_look_ns, uint64_t{0});
  if (!done || sys::LoadRelaxed(&g_second_look_ns) != 0) sys::StoreRelaxed(&g_imports_due, 1u);
}

void ServeOwnMalloc() {
  if (!ExecutableDefinesMalloc()) return;
  core::AddProcessFlags(protocol::kFlagOwnMalloc);
  if (core::g_process.mode != core::Mode::kRecording) return;
  PrepareRedirection(imports::Extent::kHeapOnly);
  imports::RedirectToHooks();
  LookAgainLater();
}

}  // namespace leakhunt::hooks

using namespace leakhunt;

// `settings`: "LEAKHUNT_NAME=VALUE" texts, null at the end. Answers a protocol::AttachResult.
LEAKHUNT_HOOK int leakhunt_v1_attach(const char* const* settings) {
  using protocol::AttachResult;
  if (hooks::FindStanding() == hooks::Standing::kPreloaded) return static_cast<int>(AttachResult::kPreloaded);
  int saved = errno;
  hooks::FindAllocator();
  hooks::FindEvery();
  AttachResult result = AttachResult::kRefused;
  if (core::AttachProcess(settings)) {
    hooks::PrepareRedirection(imports::Extent::kAll);
    imports::Redirection redirection = hooks::Patiently(imports::RedirectToHooks);
    result = !redirection.done          ? AttachResult::kUnloading
             : redirection.changed == 0 ? AttachResult::kNothingToRedirect
                                        : AttachResult::kRecording;
    if (result == AttachResult::kRecording) hooks::LookAgainLater();
    else core::DetachProcess();
    // The handler stays for ever, as the library does.
    if (!hooks::g_exit_noted && &on_exit != nullptr) on_exit(hooks::ExitsWith, nullptr);
    hooks::g_exit_noted = true;
  }
  errno = saved;
  return static_cast<int>(result);
}

// Leads every import back; the library stays, inert: hooks may be running.
LEAKHUNT_HOOK int leakhunt_v1_detach(const char* const*) {
  using protocol::AttachResult;
  if (hooks::FindStanding() == hooks::Standing::kPreloaded) return static_cast<int>(AttachResult::kPreloaded);
  int saved = errno;
  sys::StoreRelaxed(&hooks::g_imports_due, 0u);
  bool done = hooks::Patiently(imports::RedirectBack).done;
  if (done) core::DetachProcess();
  errno = saved;
  return static_cast<int>(done ? AttachResult::kDetached : AttachResult::kUnloading);
}
