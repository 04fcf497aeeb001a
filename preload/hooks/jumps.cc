// longjmp and its kin, setcontext: a jump may leave leakhunt's frames behind (core/jumps.h). Only looked at when the thread is
// inside leakhunt, which it is only in a signal handler.
#include <setjmp.h>
#include <ucontext.h>

#include "preload/core/jumps.h"
#include "preload/core/thread_state.h"
#include "preload/hooks/handle_hook.h"

using namespace leakhunt;

namespace {

using Jump = void(void*, int);

LEAKHUNT_REAL hooks::Real<Jump> real_longjmp("longjmp");
LEAKHUNT_REAL hooks::Real<Jump> real__longjmp("_longjmp");
LEAKHUNT_REAL hooks::Real<Jump> real_siglongjmp("siglongjmp");
LEAKHUNT_REAL hooks::Real<Jump> real_checked("__longjmp_chk");
LEAKHUNT_REAL hooks::Real<int(const ucontext_t*)> real_setcontext("setcontext");

__attribute__((constructor)) void Find() {
  hooks::FindAll(real_longjmp, real__longjmp, real_siglongjmp, real_checked, real_setcontext);
}

// The stack pointer that setjmp kept; 0 where its form is not known. musl keeps it as it is, glibc hidden behind the thread's
// pointer guard (the word at fs:0x30, then 17 bits to the left).
uint64_t KeptStackPointer(const void* environment) {
#if defined(__x86_64__)
  constexpr int kStackPointer = 6;
  const auto plausible = [](uint64_t sp) { return sp != 0 && sp % 8 == 0 && sp >> 47 == 0; };
  const uint64_t kept = static_cast<const uint64_t*>(environment)[kStackPointer];
  if (plausible(kept)) return kept;
  uint64_t guard;
  asm("movq %%fs:0x30, %0" : "=r"(guard));
  const uint64_t shown = (kept >> 17 | kept << 47) ^ guard;
  return plausible(shown) ? shown : 0;
#else
  (void)environment;
  return 0;
#endif
}

uint64_t KeptStackPointer(const ucontext_t* context) {
#if defined(__x86_64__)
  return static_cast<uint64_t>(context->uc_mcontext.gregs[15 /* REG_RSP */]);
#else
  return context->uc_mcontext.sp;
#endif
}

template <typename Kept>
[[gnu::always_inline]] inline void Jumping(const Kept* kept) {
  if (__builtin_expect(core::t_local.busy == 0, 1)) return;
  const uint64_t target = KeptStackPointer(kept);
  if (target != 0) core::JumpsTo(target, reinterpret_cast<uint64_t>(__builtin_frame_address(0)));
}

}  // namespace

#define LEAKHUNT_JUMP(NAME, REAL)                                       \
  LEAKHUNT_HOOK void NAME(void* environment, int value) {               \
    Jumping(static_cast<const void*>(environment));                     \
    REAL.Get()(environment, value);                                     \
    __builtin_unreachable();                                            \
  }

extern "C" {
void LeakhuntLongjmp(void*, int) __asm__("longjmp");
void LeakhuntLongjmp_(void*, int) __asm__("_longjmp");
void LeakhuntSiglongjmp(void*, int) __asm__("siglongjmp");
void LeakhuntLongjmpChecked(void*, int) __asm__("__longjmp_chk");
}
LEAKHUNT_JUMP(LeakhuntLongjmp, real_longjmp)
LEAKHUNT_JUMP(LeakhuntLongjmp_, real__longjmp)
LEAKHUNT_JUMP(LeakhuntSiglongjmp, real_siglongjmp)
LEAKHUNT_JUMP(LeakhuntLongjmpChecked, real_checked)

LEAKHUNT_HOOK int setcontext(const ucontext_t* context) noexcept {
  Jumping(context);
  return real_setcontext.Get() != nullptr ? real_setcontext.Get()(context) : (errno = ENOSYS, -1);
}
