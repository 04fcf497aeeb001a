// small_stacks: fibers of 4 KiB above a guard page, each of which has 900 bytes of its own on its stack and allocates, opens, maps.
// In the first thread, in others, and in a forked child. A fiber that needs more than its stack is ended by SIGSEGV.
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

enum { kPage = 4096, kFibers = 60, kThreads = 4, kTurns = 5 };

struct Place {
  ucontext_t outside, inside;
  int turn;
};
static __thread struct Place* place;  // of the thread

static void Work(int turn) {
  void* block = malloc(100 + turn);
  block = realloc(block, 30000);
  void* other = calloc(3, 700);
  int ends[2];
  int fd = open("/dev/null", O_RDONLY), copy = dup(fd), plug = socket(AF_UNIX, SOCK_STREAM, 0);
  if (fd < 0 || copy < 0 || plug < 0 || pipe(ends) != 0) abort();
  void* map = mmap(NULL, kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  munmap(map, kPage);
  close(fd), close(copy), close(plug), close(ends[0]), close(ends[1]);
  free(other);
  free(block);
}

// Ever other depths, so that leakhunt meets ever other stacks.
static int Deeper(int depth, int turn) {
  if (depth > 0) return Deeper(depth - 1, turn) + 1;
  Work(turn);
  return 0;
}

static void Fiber(void) {
  volatile char mine[900];
  memset((char*)mine, 1, sizeof(mine));
  if (Deeper(place->turn % 8, place->turn) != place->turn % 8) abort();
  swapcontext(&place->inside, &place->outside);
}

static void RunFibers(void) {
  char* stack = mmap(NULL, 2 * kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  mprotect(stack, kPage, PROT_NONE);
  struct Place here;
  place = &here;
  for (int i = 0; i < kFibers; ++i) {
    here.turn = i;
    getcontext(&here.inside);
    here.inside.uc_stack.ss_sp = stack + kPage;
    here.inside.uc_stack.ss_size = kPage;
    makecontext(&here.inside, Fiber, 0);
    swapcontext(&here.outside, &here.inside);
    usleep(i % 10 == 0 ? 15000 : 0);  // leakhunt's housekeeping is done each 100 ms
  }
  munmap(stack, 2 * kPage);
}

static void* RunInThread(void* unused) {
  RunFibers();
  return unused;
}

int main(void) {
  RunFibers();
  pthread_t threads[kThreads];
  for (int i = 0; i < kThreads; ++i) pthread_create(&threads[i], NULL, RunInThread, NULL);
  for (int i = 0; i < kThreads; ++i) pthread_join(threads[i], NULL);
  for (int i = 0; i < kTurns; ++i) {
    pid_t child = fork();
    if (child == 0) {
      RunFibers();
      _exit(7);
    }
    int status = 0;
    waitpid(child, &status, 0);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 7) printf("child %d: status %x\n", i, status);
  }
  puts("all fibers ran");
  return 0;
}
