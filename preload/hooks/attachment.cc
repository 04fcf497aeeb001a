// What leakhunt-collect calls in a running program that was not started with the library: on one of the program's own
// threads, which it stopped outside of the allocator and the loader (collector/attach).
#include "preload/hooks/attachment.h"

#include <dlfcn.h>
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
#include "preload/sys/own_stack.h"
#include "preload/sys/syscall.h"

extern "C" int on_exit(void (*function)(int, void*), void* argument) __attribute__((weak));

namespace leakhunt::hooks {

LEAKHUNT_HOT_WORD uint32_t g_imports_due = 0;

}  // namespace leakhunt::hooks

// dlopen chooses where to search by its caller's address, so no frame of ours may be there when it runs: a call that notes
// what is coming, the stack as it was, and a jump.
#if defined(__x86_64__)
asm(R"(
  .text
  .p2align 4
  .globl dlopen
  .type dlopen, @function
dlopen:
  .cfi_startproc
  endbr64
  pushq %rdi
  .cfi_adjust_cfa_offset 8
  pushq %rsi
  .cfi_adjust_cfa_offset 8
  subq $8, %rsp
  .cfi_adjust_cfa_offset 8
  movl %esi, %edi
  call LeakhuntBeforeDlopen
  addq $8, %rsp
  .cfi_adjust_cfa_offset -8
  popq %rsi
  .cfi_adjust_cfa_offset -8
  popq %rdi
  .cfi_adjust_cfa_offset -8
  jmp *%rax
  .cfi_endproc
  .size dlopen, . - dlopen
)");
#elif defined(__aarch64__)
asm(R"(
  .text
  .p2align 2
  .globl dlopen
  .type dlopen, %function
dlopen:
  .cfi_startproc
  stp x29, x30, [sp, #-32]!
  .cfi_adjust_cfa_offset 32
  .cfi_rel_offset x29, 0
  .cfi_rel_offset x30, 8
  stp x0, x1, [sp, #16]
  mov w0, w1
  bl LeakhuntBeforeDlopen
  mov x16, x0
  ldp x0, x1, [sp, #16]
  ldp x29, x30, [sp], #32
  .cfi_adjust_cfa_offset -32
  .cfi_restore x29
  .cfi_restore x30
  br x16
  .cfi_endproc
  .size dlopen, . - dlopen
)");
#endif

namespace leakhunt::hooks {
namespace {

using protocol::AttachResult;

// Looks after an object may have come: the first at once, the others each after twice the time, the last later than any
// lazy binding that was under way. Where libraries are bound deeply there is no last one: each first call through a slot that is
// bound lazily leads past the hooks again. When a dlopen returns is not to be seen, and it allocates itself.
constexpr uint64_t kFirstPauseNs = 200'000, kLastPauseNs = 1'000'000'000;

constinit uint64_t g_next_look_ns = 0, g_pause_ns = 0;  // relaxed: a look too many or too early does no harm

constinit bool g_watches_every_dlopen = false;  // set at start
constinit bool g_bound_deeply = false;  // set before the looks that ask

LEAKHUNT_REAL Real<void*(const char*, int)> real_dlopen("dlopen");
__attribute__((constructor)) void FindDlopen() { FindAll(real_dlopen); }

void* NoDlopen(const char*, int) { return nullptr; }  // a C library whose dlopen is elsewhere, which is not loaded
constinit bool g_exit_noted = false;

uint64_t FindReal(const char* name) { return reinterpret_cast<uint64_t>(FindNext(name)); }
uint64_t FindExecutables(const char* name) {
  ++core::t_local.busy;
  void* found = FindAllocatorFunction(name);
  --core::t_local.busy;
  return reinterpret_cast<uint64_t>(found);
}

void PrepareRedirection(imports::Extent extent) {
  imports::InitializeRedirection(extent, extent == imports::Extent::kHeapOnly ? FindExecutables : FindReal,
                                 reinterpret_cast<uint64_t>(&dlopen));
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

void LookFromNowOn() {
  sys::StoreRelaxed(&g_next_look_ns, uint64_t{0});
  sys::StoreRelaxed(&g_pause_ns, kFirstPauseNs);
  sys::StoreRelaxed(&g_imports_due, 1u);
}

// A library opened with RTLD_DEEPBIND finds libc's functions before ours. The loader is about to be asked for it, so it may be
// asked for what stands behind the hooks.
void PrepareForDeepBinding() {
  if (core::g_process.mode != core::Mode::kRecording) return;
  PrepareRedirection(imports::Extent::kDeepBound);
  g_bound_deeply = true;
  LookFromNowOn();
}

void ExitsWith(int status, void*) { core::ProcessExits(status); }

}  // namespace

void ServeImportsSlow() {
  if (core::t_local.busy != 0 || !core::ProcessIsAlive() || core::g_process.mode != core::Mode::kRecording) return;
  const uint64_t now_ns = sys::MonotonicNs();
  if (now_ns < sys::LoadRelaxed(&g_next_look_ns) || !sys::CompareExchange(&g_imports_due, 1u, 0u)) return;
  const uint64_t pause_ns = sys::LoadRelaxed(&g_pause_ns);
  bool done = false;  // also where no stack is to be had: then the next look comes after the same pause
  (void)sys::OnOwnStack([&] { done = imports::RedirectToHooks().done; });
  const bool was_last = done && pause_ns > kLastPauseNs;
  if (was_last && !g_bound_deeply) return;
  sys::StoreRelaxed(&g_next_look_ns, now_ns + pause_ns);
  if (done && !was_last) sys::StoreRelaxed(&g_pause_ns, 2 * pause_ns);
  sys::StoreRelaxed(&g_imports_due, 1u);
}

void ServeOwnMalloc() {
  if (!ExecutableDefinesMalloc()) return;
  core::AddProcessFlags(protocol::kFlagOwnMalloc);
  if (core::g_process.mode != core::Mode::kRecording) return;
  PrepareRedirection(imports::Extent::kHeapOnly);
  g_watches_every_dlopen = true;
  imports::RedirectToHooks();
  LookFromNowOn();
}

}  // namespace leakhunt::hooks

using namespace leakhunt;

extern "C" __attribute__((visibility("hidden"), used)) void* (*LeakhuntBeforeDlopen(int flags))(const char*, int) {
  const int saved = errno;
  if (hooks::g_watches_every_dlopen || hooks::FindStanding() == hooks::Standing::kInjected) hooks::LookFromNowOn();
  else if ((flags & RTLD_DEEPBIND) != 0) hooks::PrepareForDeepBinding();
  auto* function = hooks::real_dlopen.Get();
  errno = saved;
  return function != nullptr ? function : &hooks::NoDlopen;
}

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
    if (result == AttachResult::kRecording) hooks::LookFromNowOn();
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
