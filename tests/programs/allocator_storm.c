// Threads that allocate, resize, check and free all the time, one of them code of a plugin that comes and goes; to be
// attached to and left alone.
//
//   allocator_storm PLUGIN [THREADS]
//
// Until SIGTERM. Every block is filled with its own pattern and checked before it goes. Never more than SLOTS blocks a thread are live.
// Prints "storm over: N operations" and exits 0, or says what was wrong and aborts.
#include <dlfcn.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/time.h>
#include <unistd.h>

enum { kSlots = 64, kMostThreads = 256 };

static volatile int stop;
static volatile sig_atomic_t alarms;
static const char* plugin_path;
static uint64_t operations[kMostThreads];

struct Block {
  unsigned char* bytes;
  size_t size;
  unsigned char pattern;
};

static uint32_t Next(uint32_t* seed) {
  *seed ^= *seed << 13, *seed ^= *seed >> 17, *seed ^= *seed << 5;
  return *seed;
}

static void Check(const struct Block* block, size_t bytes) {
  for (size_t i = 0; i < bytes; ++i) {
    if (block->bytes[i] == block->pattern) continue;
    fprintf(stderr, "a block of %zu bytes was changed at %zu\n", block->size, i);
    abort();
  }
}

__attribute__((noinline)) static void StormOne(struct Block* block, uint32_t* seed) {
  size_t size = Next(seed) % 16 == 0 ? Next(seed) % 40000 : Next(seed) % 300;
  if (block->bytes != NULL && Next(seed) % 4 == 0) {
    block->bytes = realloc(block->bytes, size + 1);
    Check(block, size + 1 < block->size ? size + 1 : block->size);
  } else {
    if (block->bytes != NULL) Check(block, block->size);
    free(block->bytes);
    block->bytes = Next(seed) % 2 == 0 ? malloc(size + 1) : calloc(1, size + 1);
  }
  if (block->bytes == NULL) abort();
  block->size = size + 1;
  block->pattern = (unsigned char)Next(seed);
  memset(block->bytes, block->pattern, block->size);
}

static void* Storm(void* argument) {
  uint64_t* done = argument;
  uint32_t seed = (uint32_t)(uintptr_t)argument | 1;
  struct Block blocks[kSlots] = {0};
  prctl(PR_SET_NAME, "a storm's thread");
  while (!stop) {
    StormOne(&blocks[Next(&seed) % kSlots], &seed);
    ++*done;
  }
  for (int i = 0; i < kSlots; ++i) free(blocks[i].bytes);
  return NULL;
}

__attribute__((noinline)) static void PluginRound(void) {
  void* plugin = dlopen(plugin_path, RTLD_NOW | RTLD_LOCAL);
  if (plugin == NULL) {
    fprintf(stderr, "%s\n", dlerror());
    abort();
  }
  void* (*allocate)(size_t) = (void* (*)(size_t))dlsym(plugin, "PluginAllocate");
  void (*release)(void*) = (void (*)(void*))dlsym(plugin, "PluginFree");
  for (int round = 0; round < 20 && !stop; ++round) {
    void* kept[32];
    for (int i = 0; i < 32; ++i) kept[i] = allocate(777);
    usleep(500);
    for (int i = 0; i < 32; ++i) release(kept[i]);
  }
  dlclose(plugin);
}

static void* Plugins(void* unused) {
  while (!stop) PluginRound();
  return unused;
}

static void OnAlarm(int signal) {
  (void)signal;
  ++alarms;
}
static void OnTerminate(int signal) { stop = signal; }

int main(int argc, char** argv) {
  if (argc < 2) return 2;
  plugin_path = argv[1];
  int threads = argc > 2 ? atoi(argv[2]) : 32;
  if (threads < 1 || threads > kMostThreads) return 2;
  signal(SIGALRM, OnAlarm);  // with SA_RESTART: no call below may see it
  signal(SIGTERM, OnTerminate);
  struct itimerval often = {{0, 20000}, {0, 20000}};
  setitimer(ITIMER_REAL, &often, NULL);
  pthread_t storm[kMostThreads], plugins;
  for (int i = 0; i < threads; ++i) pthread_create(&storm[i], NULL, Storm, &operations[i]);
  pthread_create(&plugins, NULL, Plugins, NULL);
  while (!stop) usleep(10000);
  uint64_t sum = 0;
  for (int i = 0; i < threads; ++i) pthread_join(storm[i], NULL), sum += operations[i];
  pthread_join(plugins, NULL);
  if (alarms == 0) abort();
  printf("storm over: %llu operations\n", (unsigned long long)sum);
  return 0;
}
