// Requests under full allocation load, for what happens to their latency while nobody reads the records.
//
//   request_latency THREADS
//
// THREADS threads allocate and free as fast as they can; the main thread answers requests of 100 allocations each. Each
// line "run MS" on stdin: MS milliseconds of requests, then "REQUESTS P50 P99 P999 MAX" in nanoseconds on stdout. "hold
// N": keeps N more blocks (Hold), "drop": frees all that were kept but the last 1,000. Ends at the end of stdin.
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { kMostRequests = 4 << 20, kMostHeld = 1 << 20 };

static volatile int stop;
static uint32_t* latencies;
static void* held[kMostHeld];
static long held_count;

static uint64_t Now(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void* Churn(void* argument) {
  uint32_t seed = (uint32_t)(uintptr_t)argument * 2654435761u + 1;
  void* slots[256] = {0};
  while (!stop) {
    seed = seed * 1664525u + 1013904223u;
    uint32_t slot = (seed >> 8) % 256;
    free(slots[slot]);
    slots[slot] = malloc(16 + (seed >> 22));
  }
  for (int i = 0; i < 256; ++i) free(slots[i]);
  return NULL;
}

__attribute__((noinline)) static void Request(void) {
  void* parts[100];
  for (int i = 0; i < 100; ++i) parts[i] = malloc((size_t)(20 + i * 7));
  for (int i = 0; i < 100; ++i) memset(parts[i], i, 20), free(parts[i]);
}

__attribute__((noinline)) static void Hold(void) { held[held_count++] = malloc(333); }

static int Compare(const void* a, const void* b) {
  uint32_t x = *(const uint32_t*)a, y = *(const uint32_t*)b;
  return x < y ? -1 : x > y;
}

static void Run(long milliseconds) {
  uint64_t end = Now() + (uint64_t)milliseconds * 1000000u;
  long count = 0;
  for (uint64_t start = Now(); start < end && count < kMostRequests;) {
    Request();
    uint64_t done = Now();
    latencies[count++] = (uint32_t)(done - start);
    start = done;
  }
  qsort(latencies, (size_t)count, sizeof(latencies[0]), Compare);
  printf("%ld %u %u %u %u\n", count, latencies[count / 2], latencies[count * 99 / 100], latencies[count * 999 / 1000],
         latencies[count - 1]);
  fflush(stdout);
}

int main(int argc, char** argv) {
  int threads = argc > 1 ? atoi(argv[1]) : 1;
  latencies = calloc(kMostRequests, sizeof(latencies[0]));
  pthread_t churn[64];
  for (intptr_t i = 0; i < threads && i < 64; ++i) pthread_create(&churn[i], NULL, Churn, (void*)(i + 1));
  char line[64];
  while (fgets(line, sizeof(line), stdin) != NULL) {
    long value = 0;
    if (sscanf(line, "run %ld", &value) == 1) Run(value);
    else if (sscanf(line, "hold %ld", &value) == 1) for (long i = 0; i < value && held_count < kMostHeld; ++i) Hold();
    else if (strncmp(line, "drop", 4) == 0) while (held_count > 1000) free(held[--held_count]);
  }
  stop = 1;
  for (int i = 0; i < threads && i < 64; ++i) pthread_join(churn[i], NULL);
  return 0;
}
