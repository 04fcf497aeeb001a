// Ways in which control goes: handlers, jumps, exceptions, fibers, threads, cancellation; and mappings beside the heap.
#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include <cerrno>
#include <csetjmp>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <memory>
#include <string>

#include "actor.h"

namespace random_program {
namespace {

thread_local sigjmp_buf* t_way_out;

void OpenAndClose(int) {
  const int saved = errno, descriptor = open("/dev/null", O_RDONLY | O_CLOEXEC);
  close(dup(descriptor));
  close(descriptor);
  errno = saved;
}

void JumpOut(int) {
  if (t_way_out != nullptr) siglongjmp(*t_way_out, 1);
}

void Handle(int signal, void (*handler)(int), int flags) {
  struct sigaction action {};
  action.sa_handler = handler;
  action.sa_flags = flags;
  sigaction(signal, &action, nullptr);
}

// Sends `signal` to this thread after `microseconds`, and again every millisecond.
class Alarm {
 public:
  Alarm(int signal, long microseconds) {
    sigevent event{};
    event.sigev_notify = SIGEV_THREAD_ID;
    event.sigev_signo = signal;
    event._sigev_un._tid = static_cast<pid_t>(syscall(SYS_gettid));
    if (timer_create(CLOCK_MONOTONIC, &event, &timer_) != 0) Broken("timer_create");
    const itimerspec at{{0, 1'000'000}, {0, microseconds * 1000}};
    timer_settime(timer_, 0, &at, nullptr);
  }
  ~Alarm() { timer_delete(timer_); }

 private:
  timer_t timer_{};
};

// Calls that fail and hold nothing, so that a jump out of them loses nothing.
[[gnu::noinline]] void FailForever() {
  for (;;) {
    close(-1);
    open("/nonexistent/file", O_RDONLY | O_CLOEXEC);
    dup(-1);
    fcntl(-1, F_DUPFD_CLOEXEC, 0);
  }
}

[[gnu::noinline]] int ThrowFrom(int depth, int value) {
  std::string text(static_cast<size_t>(20 + depth * 30), 'x');
  auto block = std::make_unique<char[]>(static_cast<size_t>(1 + depth * 100));
  block[0] = text[0];
  if (depth == 0) throw value;
  return ThrowFrom(depth - 1, value) + block[0];
}

struct Fiber {
  ucontext_t outside, inside;
  Actor* actor;
};
thread_local Fiber* t_fiber;

void RunFiber() {
  Fiber* fiber = t_fiber;
  for (int step = 0; step < 20; ++step) {
    step % 3 == 2 ? DescriptorStep(fiber->actor) : HeapStep(fiber->actor);
    if (step == 10) swapcontext(&fiber->inside, &fiber->outside);  // and comes back
  }
}

struct Threads {
  pthread_t thread;
  Actor actor;
};

void* RunThread(void* given) {
  auto* actor = static_cast<Actor*>(given);
  Walk(actor, 60);
  DropAll(actor);
  return given;
}

void* WaitForever(void* given) {
  char byte;
  if (given == nullptr) {
    pthread_cancel(pthread_self());
    const int never = open("/dev/null", O_RDONLY | O_CLOEXEC);  // acts on the cancellation before it opens
    (void)never;
  } else {
    const ssize_t none = read(*static_cast<int*>(given), &byte, 1);
    (void)none;
  }
  Broken("a cancelled thread went on");
}

}  // namespace

void SignalStep(Actor* actor) {
  Handle(SIGUSR1, OpenAndClose, SA_RESTART);
  Handle(SIGUSR2, OpenAndClose, SA_RESTART);
  const Alarm soon(SIGUSR2, 20 + Draw(actor, 200));
  for (int i = 0; i < 5; ++i) {
    pthread_kill(pthread_self(), SIGUSR1);
    HeapStep(actor);
    DescriptorStep(actor);
  }
}

void JumpStep(Actor* actor) {
  Handle(SIGVTALRM, JumpOut, SA_NODEFER);
  sigjmp_buf way_out;
  const Alarm soon(SIGVTALRM, 20 + Draw(actor, 400));  // outside: a jump passes over no destructor
  if (sigsetjmp(way_out, 1) == 0) {
    t_way_out = &way_out;
    FailForever();
  }
  t_way_out = nullptr;
  for (int i = 0; i < 4; ++i) HeapStep(actor);
}

void ThrowStep(Actor* actor) {
  const int value = static_cast<int>(Draw(actor, 1000));
  try {
    ThrowFrom(static_cast<int>(Draw(actor, 30)), value);
  } catch (int caught) {
    Note(actor, static_cast<uint64_t>(caught));
  }
}

void FiberStep(Actor* actor) {
  const size_t page = 4096, size = page << Draw(actor, 4);
  auto* area =
      static_cast<char*>(mmap(nullptr, size + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  if (area == MAP_FAILED || mprotect(area, page, PROT_NONE) != 0) Broken("a stack could not be mapped");
  Fiber fiber{};
  fiber.actor = actor;
  const Place outside = actor->place;
  actor->place = Place::kFiber;
  getcontext(&fiber.inside);
  fiber.inside.uc_stack.ss_sp = area + page;
  fiber.inside.uc_stack.ss_size = size;
  fiber.inside.uc_link = &fiber.outside;
  makecontext(&fiber.inside, RunFiber, 0);
  t_fiber = &fiber;
  swapcontext(&fiber.outside, &fiber.inside);
  HeapStep(actor);
  swapcontext(&fiber.outside, &fiber.inside);
  actor->place = outside;
  munmap(area, size + page);
}

void ThreadStep(Actor* actor) {
  constexpr int kThreads = 3;
  static_assert(kThreads > 1);
  auto threads = std::make_unique<Threads[]>(kThreads);
  const Place outside = actor->place;
  actor->place = Place::kThread;
  for (int i = 0; i < kThreads; ++i) {
    Begin(&threads[i].actor, Draw(actor, ~0u), actor->depth + 1, Place::kThread);
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    if (i == 0) pthread_attr_setstacksize(&attributes, 64 << 10);
    if (pthread_create(&threads[i].thread, &attributes, RunThread, &threads[i].actor) != 0) Broken("pthread_create");
    pthread_attr_destroy(&attributes);
  }
  Walk(actor, 20);
  for (int i = 0; i < kThreads; ++i) {
    void* result = nullptr;
    if (pthread_join(threads[i].thread, &result) != 0 || result != &threads[i].actor) Broken("pthread_join");
    Note(actor, threads[i].actor.sum);
  }
  actor->place = outside;
}

void CancelStep(Actor* actor) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) Broken("pipe2");
  const bool by_itself = Draw(actor, 2) == 0;
  pthread_t thread;
  if (pthread_create(&thread, nullptr, WaitForever, by_itself ? nullptr : &ends[0]) != 0) Broken("pthread_create");
  if (!by_itself) pthread_cancel(thread);
  void* result = nullptr;
  if (pthread_join(thread, &result) != 0 || result != PTHREAD_CANCELED) Broken("a thread was not cancelled");
  close(ends[0]);
  close(ends[1]);
}

void MappingStep(Actor* actor) {
  const size_t size = size_t{4096} << Draw(actor, 8);
  void* area = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (area == MAP_FAILED) Broken("mmap");
  static_cast<char*>(area)[size - 1] = 1;
  void* moved = mremap(area, size, size * 2, MREMAP_MAYMOVE);
  if (moved == MAP_FAILED || static_cast<char*>(moved)[size - 1] != 1) Broken("mremap");
  if (munmap(moved, size * 2) != 0) Broken("munmap");
  Note(actor, size);
}

}  // namespace random_program
