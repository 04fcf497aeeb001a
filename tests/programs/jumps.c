// A signal handler jumps out of open and close, from every seventh of their instructions in turn (the processor's trap flag: a SIGTRAP after each).
// Both may be called, and left, at any moment (async-signal-safe).
//
//     jumps siglongjmp|builtin|setcontext|alternate|inside
//
// alternate: the handler has a stack of its own. inside: the handler jumps within itself alone, and what it interrupted goes on.
// After each jump OpenDeep opens and closes once, under frames that lie below those that were left. (builtin: beside them; no
// library sees such a jump.) At the end MakeAfter's 300 blocks live and OpenAfter's 30 descriptors are open.
#define _GNU_SOURCE
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>
#include <unistd.h>

enum { kJumps = 150, kStride = 7, kBlocks = 300, kDescriptors = 30, kTrapFlag = 0x100 };

static sigjmp_buf g_out;
static void* g_builtin_out[5];
static ucontext_t g_context_out;
static const char* g_way;
static volatile int g_steps_left, g_jumps;

static int Way(const char* way) { return strcmp(g_way, way) == 0; }

__attribute__((noinline)) static void JumpWithin(int value) {
  jmp_buf here;
  if (setjmp(here) == 0) longjmp(here, value);
}

static void Handle(int number, siginfo_t* about, void* context) {
  (void)number, (void)about;
  if (Way("inside")) JumpWithin(1);
  if (--g_steps_left > 0) return;
  ++g_jumps;
  if (Way("inside")) {
    ((ucontext_t*)context)->uc_mcontext.gregs[REG_EFL] &= ~kTrapFlag;
    return;
  }
  if (Way("builtin")) __builtin_longjmp(g_builtin_out, 1);
  if (Way("setcontext")) setcontext(&g_context_out);
  siglongjmp(g_out, 1);
}

// At another depth each time: the stack has to be walked.
__attribute__((noinline)) static int Storm(int depth) {
  if (depth > 0) return Storm(depth - 1) + 1;
  int fd = open("/dev/null", O_RDONLY);
  return fd >= 0 ? close(fd) : 0;
}

__attribute__((noinline)) static void StormUntilJump(void) {
  const int before = g_jumps;
  g_steps_left = 1 + before * kStride;
  asm volatile("pushfq; orq %0, (%%rsp); popfq" ::"i"(kTrapFlag) : "cc", "memory");
  for (int depth = before % 5; g_jumps == before; depth = (depth + 1) % 5) Storm(depth);
}

__attribute__((noinline)) static void OpenDeep(void) {
  volatile char room[16384] = {0};
  (void)room[0];
  int fd = open("/dev/zero", O_RDONLY);
  if (fd >= 0) close(fd);
}

__attribute__((noinline)) static void* MakeAfter(void) { return malloc(4321); }
__attribute__((noinline)) static int OpenAfter(void) { return open("/etc/passwd", O_RDONLY); }

int main(int count, char** words) {
  g_way = count > 1 ? words[1] : "siglongjmp";
  struct sigaction action = {.sa_sigaction = Handle, .sa_flags = SA_NODEFER | SA_SIGINFO};
  if (Way("alternate")) {
    stack_t stack = {.ss_sp = malloc(1 << 16), .ss_size = 1 << 16};
    sigaltstack(&stack, NULL);
    action.sa_flags |= SA_ONSTACK;
  }
  sigaction(SIGTRAP, &action, NULL);
  static volatile int begun;
  while ((begun = g_jumps) < kJumps) {
    if (Way("builtin")) {
      if (__builtin_setjmp(g_builtin_out) == 0) StormUntilJump();
      sigset_t none;
      sigemptyset(&none);
      sigprocmask(SIG_SETMASK, &none, NULL);
    } else if (Way("setcontext")) {
      getcontext(&g_context_out);
      if (g_jumps == begun) StormUntilJump();
    } else if (sigsetjmp(g_out, 1) == 0) {
      StormUntilJump();
    }
    OpenDeep();
    close_range(3, 900, 0);  // what a jump took from the program after the kernel had opened it
  }
  for (int i = 0; i < kBlocks; ++i) MakeAfter();
  for (int i = 0; i < kDescriptors; ++i) OpenAfter();
  puts("done");
  return 0;
}
