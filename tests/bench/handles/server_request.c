// What a library that was loaded before this program adds to a server's request: server_request GROUPS FILE.
//
// A batch of requests is served by calling libc's own functions, and another one by calling what this program's calls lead to;
// the ways take turns, some hundred microseconds each, in one process: whatever disturbs a machine for longer disturbs
// both. A request is what a web server makes of it: memory, recv, open, fstat, writev, sendfile, close; and between them
// code and data enough that the near caches hold no more of the library than a server would leave there.
//
// Prints a line a way: its name, nanoseconds of a request by libc alone, nanoseconds more, and the standard error of that
// (of the middle eight tenths of the differences).
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <math.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum { kConnections = 16, kRequestBytes = 80, kHeadBytes = 200, kBodyBytes = 750, kWarmUpGroups = 200 };

struct Functions {
  void* (*malloc)(size_t);
  void (*free)(void*);
  int (*posix_memalign)(void**, size_t, size_t);
  int (*open64)(const char*, int, ...);
  int (*close)(int);
};
enum Way { kAround, kThrough, kDescriptorsThrough, kHeapThrough, kWays };
static const char* const way_names[kWays] = {"around", "all", "descriptors", "heap"};
static struct Functions ways[kWays];

static void Check(int ok, const char* what) {
  if (ok) return;
  perror(what);
  exit(1);
}

static struct Functions Find(void* where) {
  struct Functions found;
  *(void**)&found.malloc = dlsym(where, "malloc");
  *(void**)&found.free = dlsym(where, "free");
  *(void**)&found.posix_memalign = dlsym(where, "posix_memalign");
  *(void**)&found.open64 = dlsym(where, "open64");
  *(void**)&found.close = dlsym(where, "close");
  return found;
}

// As much code and data of its own as a server goes through for a request.
static volatile uint64_t sink;
static __attribute__((noinline)) void RunMuchCode(void) {
  uint64_t sum = 1;
#if defined(__x86_64__)
  __asm__ volatile(".rept 4096\n\tadd $3, %0\n\t.endr" : "+r"(sum));
#elif defined(__aarch64__)
  __asm__ volatile(".rept 4096\n\tadd %0, %0, #3\n\t.endr" : "+r"(sum));
#endif
  sink = sum;
}
static char much_data[32 * 1024];
static __attribute__((noinline)) void ReadMuchData(void) {
  uint64_t sum = 0;
  for (size_t i = 0; i < sizeof(much_data); i += 64) sum += (uint64_t)much_data[i];
  sink = sum;
}

static const char* file;
static int clients[kConnections], servers[kConnections];

static __attribute__((noinline)) void Serve(const struct Functions* functions, int connection) {
  char head[kHeadBytes] = "HTTP/1.1 200 OK\r\n";
  void* pool = NULL;
  Check(functions->posix_memalign(&pool, 16, 4096) == 0, "posix_memalign");
  void* buffer = functions->malloc(1024);
  void* context = functions->malloc(200);
  Check(recv(connection, buffer, 1024, 0) == kRequestBytes, "recv");
  RunMuchCode();
  ReadMuchData();
  int fd = functions->open64(file, O_RDONLY | O_NONBLOCK);
  struct stat status;
  Check(fd >= 0 && fstat(fd, &status) == 0, file);
  struct iovec part = {head, sizeof(head)};
  Check(writev(connection, &part, 1) == kHeadBytes, "writev");
  off_t from = 0;
  Check(sendfile(connection, fd, &from, kBodyBytes) == kBodyBytes, "sendfile");
  functions->close(fd);
  void* line = functions->malloc(300);
  functions->free(context);
  functions->free(line);
  functions->free(buffer);
  functions->free(pool);
}

// A call chain as deep as an event loop's, with locals between.
static __attribute__((noinline)) void ServeBelow(const struct Functions* functions, int connection, int depth) {
  volatile char locals[200];
  locals[0] = (char)depth;
  if (depth == 0) Serve(functions, connection);
  else ServeBelow(functions, connection, depth - 1);
  sink = (uint64_t)locals[0];
}

static double Now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

// Nanoseconds a request.
static double Batch(const struct Functions* functions, int events) {
  static char bytes[4096];
  for (int i = 0; i < kConnections; ++i) Check(send(clients[i], bytes, kRequestBytes, 0) == kRequestBytes, "send");
  const double before = Now();
  for (int left = kConnections; left > 0;) {
    struct epoll_event ready[kConnections];
    int count = epoll_wait(events, ready, kConnections, -1);
    for (int i = 0; i < count; ++i, --left) ServeBelow(functions, ready[i].data.fd, 8);
  }
  const double passed = Now() - before;
  for (int i = 0; i < kConnections; ++i) {
    for (ssize_t got = 0, more; got < kHeadBytes + kBodyBytes; got += more) {
      Check((more = recv(clients[i], bytes, sizeof(bytes), 0)) > 0, "recv");
    }
  }
  return passed / kConnections;
}

static int Connect(void) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t bytes = sizeof(address);
  int listener = socket(AF_INET, SOCK_STREAM, 0), events = epoll_create1(0), one = 1;
  Check(bind(listener, (struct sockaddr*)&address, bytes) == 0 && listen(listener, kConnections) == 0, "listen");
  getsockname(listener, (struct sockaddr*)&address, &bytes);
  for (int i = 0; i < kConnections; ++i) {
    clients[i] = socket(AF_INET, SOCK_STREAM, 0);
    Check(connect(clients[i], (struct sockaddr*)&address, bytes) == 0, "connect");
    servers[i] = accept(listener, NULL, NULL);
    setsockopt(clients[i], IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    setsockopt(servers[i], IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    struct epoll_event event = {.events = EPOLLIN, .data.fd = servers[i]};
    Check(epoll_ctl(events, EPOLL_CTL_ADD, servers[i], &event) == 0, "epoll_ctl");
  }
  return events;
}

static int Rising(const void* a, const void* b) {
  const double x = *(const double*)a, y = *(const double*)b;
  return (x > y) - (x < y);
}

int main(int argc, char** argv) {
  const int groups = argc == 3 ? atoi(argv[1]) : 0;
  if (groups < 10) {
    fprintf(stderr, "usage: server_request GROUPS FILE\n");
    return 2;
  }
  file = argv[2];
  ways[kAround] = Find(dlopen("libc.so.6", RTLD_NOW));
  ways[kThrough] = ways[kDescriptorsThrough] = Find(RTLD_DEFAULT);
  ways[kHeapThrough] = ways[kThrough];
  ways[kDescriptorsThrough].malloc = ways[kAround].malloc;
  ways[kDescriptorsThrough].free = ways[kAround].free;
  ways[kDescriptorsThrough].posix_memalign = ways[kAround].posix_memalign;
  ways[kHeapThrough].open64 = ways[kAround].open64;
  ways[kHeapThrough].close = ways[kAround].close;
  const int events = Connect();
  double* taken[kWays];
  for (int way = 0; way < kWays; ++way) taken[way] = calloc((size_t)groups, sizeof(double));
  for (int group = -kWarmUpGroups; group < groups; ++group) {
    const int first = rand() % kWays;
    for (int i = 0; i < kWays; ++i) {
      const int way = (first + i) % kWays;
      const double ns = Batch(&ways[way], events);
      if (group >= 0) taken[way][group] = ns;
    }
  }
  const int cut = groups / 10, kept = groups - 2 * cut;
  for (int way = kThrough; way < kWays; ++way) {
    for (int i = 0; i < groups; ++i) taken[way][i] -= taken[kAround][i];
    qsort(taken[way], (size_t)groups, sizeof(double), Rising);
  }
  qsort(taken[kAround], (size_t)groups, sizeof(double), Rising);
  for (int way = kThrough; way < kWays; ++way) {
    double mean = 0, squares = 0;
    for (int i = cut; i < groups - cut; ++i) mean += taken[way][i] / kept;
    for (int i = cut; i < groups - cut; ++i) squares += (taken[way][i] - mean) * (taken[way][i] - mean);
    // Of a trimmed mean: the winsorized variance over the kept share (Tukey & McLaughlin 1963).
    const double low = taken[way][cut] - mean, high = taken[way][groups - cut - 1] - mean;
    squares += cut * (low * low + high * high);
    printf("%s %.1f %.2f %.2f\n", way_names[way], taken[kAround][groups / 2], mean, sqrt(squares / groups) / (0.8 * sqrt(groups)));
  }
  return 0;
}
