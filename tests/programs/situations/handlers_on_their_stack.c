// handlers_on_their_stack: a timer signal interrupts allocation and opening on a fiber again and again, beside new stacks all the
// time. Its handler, without an alternate stack, looks where it runs: on the fiber's stack and nowhere else, as runtimes
// that scan or check their stacks rely on. Afterwards no signal is blocked.
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <ucontext.h>
#include <unistd.h>

enum { kStack = 64 * 1024, kTicks = 2000 };

static ucontext_t outside, inside;
static char* stack;
static volatile sig_atomic_t ticks, elsewhere;

static void OnTick(int number) {
  (void)number;
  uintptr_t here = (uintptr_t)__builtin_frame_address(0);
  ++ticks;
  if (here - (uintptr_t)stack >= kStack) ++elsewhere;
}

static int Open(int depth, unsigned way) {
  if (depth > 0) return (way & 1) != 0 ? Open(depth - 1, way >> 1) : Open(depth - 1, way >> 1) + 1;
  close(open("/dev/null", O_RDONLY));
  free(malloc(50));
  return 0;
}

static void Fiber(void) {
  struct itimerval every = {{0, 200}, {0, 200}};
  setitimer(ITIMER_REAL, &every, NULL);
  for (unsigned way = 1; ticks < kTicks; ++way) Open(2 + way % 30, way * 2654435761u);
  struct itimerval none = {{0, 0}, {0, 0}};
  setitimer(ITIMER_REAL, &none, NULL);
  swapcontext(&inside, &outside);
}

int main(void) {
  struct sigaction action = {.sa_handler = OnTick, .sa_flags = SA_RESTART};
  sigaction(SIGALRM, &action, NULL);
  stack = mmap(NULL, kStack, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  getcontext(&inside);
  inside.uc_stack.ss_sp = stack;
  inside.uc_stack.ss_size = kStack;
  makecontext(&inside, Fiber, 0);
  swapcontext(&outside, &inside);
  sigset_t blocked;
  sigprocmask(SIG_SETMASK, NULL, &blocked);
  int left = 0;
  for (int number = 1; number < 65; ++number) left += sigismember(&blocked, number) == 1;
  printf("%d handlers elsewhere, %d signals blocked\n", elsewhere, left);
  return 0;
}
