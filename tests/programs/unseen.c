// What ends or begins past the hooks, or in a descriptor table of a thread's own. `unseen CASE [LIBRARY]`:
//   deep      blocks and a descriptor handed to a library that was opened with RTLD_DEEPBIND, which releases them
//   direct    the same blocks released by libc's own name for free
//   types     openings by syscall(2), then the end by a signal, so that nobody looks at them in /proc
//   tables    threads that leave the descriptor table (unshare, close_range) and close and open in their own
//   stopped   a thread maps and unmaps while another one, which does the same, is suspended wherever it is
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#define NOINLINE __attribute__((noinline, noipa))

extern void __libc_free(void* block);

NOINLINE void* MakeResult(size_t bytes) { return memset(malloc(bytes), 1, bytes); }
NOINLINE int OpenForPlugin(void) { return open("/dev/null", O_RDONLY); }

// 400 rounds of 40 blocks of ever other sizes; all are released. Two stay.
static int Deep(void (*release)(void*), void (*close_it)(int)) {
  unsigned random = 7;
  for (int round = 0; round < 400; ++round) {
    void* blocks[40];
    for (int i = 0; i < 40; ++i) {
      random = random * 1664525 + 1013904223;
      blocks[i] = MakeResult(100 + (random >> 16) % (2000 + round * 20));
    }
    const int fd = OpenForPlugin();
    for (int i = 0; i < 40; ++i) release(blocks[i]);
    close_it(fd);
    usleep(2500);
  }
  MakeResult(1000);
  MakeResult(1000);
  return 0;
}

static void Close(int fd) { close(fd); }

NOINLINE int RawMemfd(void) { return (int)syscall(SYS_memfd_create, "by-raw", 0); }
NOINLINE int RawDirectory(void) { return (int)syscall(SYS_openat, AT_FDCWD, "/tmp", O_RDONLY | O_DIRECTORY, 0); }
NOINLINE int RawDevice(void) { return (int)syscall(SYS_openat, AT_FDCWD, "/dev/null", O_RDONLY, 0); }
NOINLINE int RawFile(void) { return (int)syscall(SYS_openat, AT_FDCWD, "/etc/passwd", O_RDONLY, 0); }
NOINLINE int RawHow(void) {
  struct open_how how = {.flags = O_RDONLY | O_DIRECTORY};
  return (int)syscall(SYS_openat2, AT_FDCWD, "/etc", &how, sizeof(how));
}

static int Types(void) {
  RawMemfd(), RawDirectory(), RawDevice(), RawFile(), RawHow();
  return raise(SIGKILL);
}

NOINLINE int OpenInMain(void) { return open("/etc/passwd", O_RDONLY); }
NOINLINE int OpenInOwnTable(void) { return open("/dev/zero", O_RDONLY); }

// close_range's: for the next thread to find nothing of the first.
static void* OwnTable(void* by_close_range) {
  if (by_close_range != NULL) {
    if (syscall(SYS_close_range, 3, 900, 2 /* CLOSE_RANGE_UNSHARE */) != 0) return by_close_range;
  } else if (unshare(CLONE_FILES) != 0) {
    return OwnTable;
  }
  for (int fd = 3; fd < 900; ++fd) close(fd);
  for (int i = 0; i < 20; ++i) OpenInOwnTable();
  return NULL;
}

static int Tables(void) {
  int failed = 0;
  for (int i = 0; i < 10; ++i) OpenInMain();
  for (long by_close_range = 0; by_close_range < 2; ++by_close_range) {
    pthread_t thread;
    void* result;
    pthread_create(&thread, NULL, OwnTable, (void*)by_close_range);
    pthread_join(thread, &result);
    failed |= result != NULL;
  }
  for (int i = 0; i < 5; ++i) OpenInMain();
  close(OpenInMain());
  return failed;
}

// ---- stopped

static sem_t g_answered;
static volatile sig_atomic_t g_go, g_over;

static void Suspend(int number) {
  sigset_t mask;
  sigfillset(&mask);
  sigdelset(&mask, SIGUSR2);
  sem_post(&g_answered);
  while (!g_go) sigsuspend(&mask);
  sem_post(&g_answered);
}
static void Resume(int number) {}

static void* Mutator(void* unused) {
  while (!g_over) munmap(mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), 8192);
  return NULL;
}

// How often the calling thread has slept or waited.
static long Sleeps(void) {
  struct rusage usage;
  getrusage(RUSAGE_THREAD, &usage);
  return usage.ru_nvcsw;
}

// Nobody has the kernel's lock of the memory while the world stands still, so no munmap has to sleep.
static int Stopped(void) {
  pthread_t threads[4];
  struct sigaction action = {.sa_handler = Suspend};
  sem_init(&g_answered, 0, 0);
  sigfillset(&action.sa_mask);
  sigdelset(&action.sa_mask, SIGUSR2);
  sigaction(SIGUSR1, &action, NULL);
  action.sa_handler = Resume;
  sigaction(SIGUSR2, &action, NULL);
  for (int i = 0; i < 4; ++i) pthread_create(&threads[i], NULL, Mutator, NULL);
  long slept = 0;
  for (int round = 0; round < 200; ++round) {
    g_go = 0;
    for (int i = 0; i < 4; ++i) pthread_kill(threads[i], SIGUSR1);
    for (int i = 0; i < 4; ++i) while (sem_wait(&g_answered) != 0) {}
    for (int i = 0; i < 10; ++i) {
      void* mapped = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
      const long before = Sleeps();
      munmap(mapped, 1 << 20);
      slept += Sleeps() - before;
    }
    g_go = 1;
    for (int i = 0; i < 4; ++i) pthread_kill(threads[i], SIGUSR2);
    for (int i = 0; i < 4; ++i) while (sem_wait(&g_answered) != 0) {}
  }
  g_over = 1;
  for (int i = 0; i < 4; ++i) pthread_join(threads[i], NULL);
  printf("munmap slept %ld times\n", slept);
  return 0;
}

int main(int count, char** words) {
  const char* name = count > 1 ? words[1] : "";
  if (strcmp(name, "direct") == 0) return Deep(__libc_free, Close);
  if (strcmp(name, "types") == 0) return Types();
  if (strcmp(name, "tables") == 0) return Tables();
  if (strcmp(name, "stopped") == 0) return Stopped();
  if (strcmp(name, "deep") != 0 || count < 3) return 2;
  void* library = dlopen(words[2], RTLD_NOW | RTLD_LOCAL | RTLD_DEEPBIND);
  if (library == NULL) return fprintf(stderr, "%s\n", dlerror()), 1;
  return Deep((void (*)(void*))dlsym(library, "PluginRelease"), (void (*)(int))dlsym(library, "PluginClose"));
}
