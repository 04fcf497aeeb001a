// stack_use: how much stack each recorded call of libc takes, the most of a thread's first call and of later ones, also in a forked
// child. Each runs on a fiber whose stack was painted before. One line a call: NAME BYTES. tests/integration/stack_use.py
// runs it alone and under leakhunt.
#include <arpa/inet.h>
#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <malloc.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#include <new>

namespace {

constexpr size_t kStackBytes = 256 * 1024, kPage = 4096;
constexpr int kLaterCalls = 200;             // enough for leakhunt's housekeeping to be due
constexpr long kPauseNs = 2'000'000;         // so that more than its 100 ms pass meanwhile
constexpr unsigned char kPaint = 0xA5;

ucontext_t g_main, g_fiber;
void (*g_call)();
void* volatile g_kept;
void* Keep(void* block) { return g_kept = block, block; }  // the compiler may not drop the pair
int g_listener, g_pair[2];
sockaddr_in g_address;

[[noreturn]] void Fail(const char* what) {
  perror(what);
  abort();
}
int Checked(int result, const char* what) {
  if (result < 0) Fail(what);
  return result;
}
void CloseOf(int fd, const char* what) { close(Checked(fd, what)); }
template <typename T>
T* Checked(T* result, const char* what) {
  if (result == nullptr) Fail(what);
  return result;
}

// ---- the calls

void Malloc() { free(Keep(malloc(40))); }
void LargeMalloc() { free(Keep(malloc(1 << 20))); }
void Calloc() { free(Keep(calloc(3, 1000))); }
void Grow() {
  void* block = malloc(1000);
  block = realloc(block, 200'000);
  block = realloc(block, 100);
  free(block);
}
void NewRealloc() { free(Keep(reallocarray(nullptr, 7, 1000))); }
void Aligned() {
  void* block = nullptr;
  if (posix_memalign(&block, 64, 1000) != 0) abort();
  free(Keep(block));
  free(Keep(aligned_alloc(64, 640)));
  free(Keep(memalign(64, 640)));
  free(Keep(valloc(100)));
  free(Keep(pvalloc(100)));
}
void New() {
  ::operator delete(Keep(::operator new(100)));
  ::operator delete[](Keep(::operator new[](100, std::nothrow)));
  ::operator delete(Keep(::operator new(100, std::align_val_t(64))), std::align_val_t(64));
}
void Open() { CloseOf(open("/dev/null", O_RDONLY), "open"); }
void OpenAt() { CloseOf(openat(AT_FDCWD, "/dev/null", O_RDONLY), "openat"); }
void Creat() { CloseOf(creat("/dev/null", 0600), "creat"); }
void Duplicate() {
  CloseOf(dup(0), "dup");
  CloseOf(dup2(0, 900), "dup2");
  CloseOf(dup3(0, 901, O_CLOEXEC), "dup3");
  CloseOf(fcntl(0, F_DUPFD, 10), "fcntl");
}
void Pipe() {
  int ends[2];
  Checked(pipe(ends), "pipe");
  close(ends[0]), close(ends[1]);
  Checked(pipe2(ends, O_CLOEXEC), "pipe2");
  close(ends[0]), close(ends[1]);
}
void Socket() { CloseOf(socket(AF_INET, SOCK_STREAM, 0), "socket"); }
void SocketPair() {
  int pair[2];
  Checked(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), "socketpair");
  close(pair[0]), close(pair[1]);
}
void Accept() {
  for (int way = 0; way < 2; ++way) {
    const int client = Checked(socket(AF_INET, SOCK_STREAM, 0), "socket");
    Checked(connect(client, reinterpret_cast<sockaddr*>(&g_address), sizeof(g_address)), "connect");
    sockaddr_in peer;
    socklen_t bytes = sizeof(peer);
    auto* to = reinterpret_cast<sockaddr*>(&peer);
    CloseOf(way == 0 ? accept(g_listener, to, &bytes) : accept4(g_listener, to, &bytes, SOCK_CLOEXEC), "accept");
    close(client);
  }
}
void Bind() {
  const int fd = Checked(socket(AF_INET, SOCK_STREAM, 0), "socket");
  sockaddr_in any{};
  any.sin_family = AF_INET;
  Checked(bind(fd, reinterpret_cast<sockaddr*>(&any), sizeof(any)), "bind");
  Checked(listen(fd, 1), "listen");
  close(fd);
}
void Receive() {
  char byte = 'x', control[CMSG_SPACE(sizeof(int))] = {};
  iovec data{&byte, 1};
  msghdr message{};
  message.msg_iov = &data, message.msg_iovlen = 1;
  message.msg_control = control, message.msg_controllen = sizeof(control);
  cmsghdr* part = CMSG_FIRSTHDR(&message);
  part->cmsg_level = SOL_SOCKET, part->cmsg_type = SCM_RIGHTS, part->cmsg_len = CMSG_LEN(sizeof(int));
  memset(CMSG_DATA(part), 0, sizeof(int));  // descriptor 0
  Checked(static_cast<int>(sendmsg(g_pair[0], &message, 0)), "sendmsg");
  message.msg_controllen = sizeof(control);
  Checked(static_cast<int>(recvmsg(g_pair[1], &message, 0)), "recvmsg");
  int fd;
  memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(fd));
  close(fd);
}
void Events() {
  CloseOf(eventfd(0, 0), "eventfd");
  CloseOf(epoll_create1(0), "epoll_create1");
  CloseOf(timerfd_create(CLOCK_MONOTONIC, 0), "timerfd_create");
  CloseOf(inotify_init1(0), "inotify_init1");
  sigset_t none;
  sigemptyset(&none);
  CloseOf(signalfd(-1, &none, 0), "signalfd");
  CloseOf(memfd_create("stack", 0), "memfd_create");
}
void Stream() {
  FILE* file = Checked(fopen("/dev/null", "r"), "fopen");
  file = Checked(freopen("/dev/zero", "r", file), "freopen");
  fclose(file);
  file = Checked(fdopen(Checked(open("/dev/null", O_RDONLY), "open"), "r"), "fdopen");
  fclose(file);
}
void Directory() { closedir(Checked(opendir("/"), "opendir")); }
void Temporary() {
  char name[] = "/tmp/stack_use.XXXXXX";
  CloseOf(mkstemp(name), "mkstemp");
  unlink(name);
}
void Map() {
  void* at = mmap(nullptr, 3 * kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (at == MAP_FAILED) Fail("mmap");
  munmap(static_cast<char*>(at) + kPage, kPage);
  at = mremap(at, kPage, 8 * kPage, MREMAP_MAYMOVE);
  if (at == MAP_FAILED) Fail("mremap");
  munmap(at, 8 * kPage);
}
void Attach() {
  const int id = Checked(shmget(IPC_PRIVATE, kPage, 0600), "shmget");
  void* at = shmat(id, nullptr, 0);
  if (at == reinterpret_cast<void*>(-1)) Fail("shmat");
  shmdt(at);
  shmctl(id, IPC_RMID, nullptr);
}
void* Nothing(void*) { return nullptr; }
void Thread() {
  pthread_t thread;
  if (pthread_create(&thread, nullptr, Nothing, nullptr) != 0) abort();
  pthread_join(thread, nullptr);
}
void Load() { dlclose(Checked(dlopen("libBrokenLocale.so.1", RTLD_NOW), "dlopen")); }
void Fork() {
  const pid_t child = Checked(fork(), "fork");
  if (child == 0) {
    free(Keep(malloc(100)));  // what that takes is measured by ChildUses
    _exit(0);
  }
  waitpid(child, nullptr, 0);
}

struct Call {
  const char* name;
  void (*function)();
  int later;  // calls after the first
};
constexpr Call kCalls[] = {
    {"malloc", Malloc, kLaterCalls},     {"malloc_large", LargeMalloc, 20},  {"calloc", Calloc, 20},       {"realloc", Grow, kLaterCalls},
    {"reallocarray", NewRealloc, 20},    {"aligned", Aligned, 20},           {"new", New, 20},             {"open", Open, kLaterCalls},
    {"openat", OpenAt, 20},              {"creat", Creat, 20},               {"dup", Duplicate, 20},       {"pipe", Pipe, 20},
    {"socket", Socket, kLaterCalls},     {"socketpair", SocketPair, 20},     {"accept", Accept, 20},       {"bind", Bind, 20},
    {"recvmsg", Receive, 20},            {"events", Events, 20},             {"stream", Stream, 20},       {"opendir", Directory, 20},
    {"mkstemp", Temporary, 20},          {"mmap", Map, kLaterCalls},         {"shmat", Attach, 20},        {"pthread_create", Thread, 20},
    {"dlopen", Load, 5},                 {"fork", Fork, 5},
};

// ---- the measure

void Fiber() {
  g_call();
  swapcontext(&g_fiber, &g_main);
}

size_t Used(const char* stack) {
  size_t untouched = 0;
  while (untouched < kStackBytes && static_cast<unsigned char>(stack[untouched]) == kPaint) ++untouched;
  return kStackBytes - untouched;
}

size_t Measure(char* stack, void (*call)()) {
  memset(stack, kPaint, kStackBytes);
  getcontext(&g_fiber);
  g_fiber.uc_stack.ss_sp = stack;
  g_fiber.uc_stack.ss_size = kStackBytes;
  g_call = call;
  makecontext(&g_fiber, Fiber, 0);
  swapcontext(&g_main, &g_fiber);
  return Used(stack);
}

struct Uses {
  const Call* call;
  char* stack;
  size_t most;
};

// A thread of its own, so that the first call is the thread's first.
void* MeasureAll(void* argument) {
  auto* uses = static_cast<Uses*>(argument);
  for (int i = 0; i <= uses->call->later; ++i) {
    const size_t used = Measure(uses->stack, uses->call->function);
    if (used > uses->most) uses->most = used;
    const timespec pause{0, kPauseNs};
    if (uses->call->later == kLaterCalls) nanosleep(&pause, nullptr);
  }
  return nullptr;
}

// The first call in a forked child.
size_t ChildUses(char* stack, void (*call)()) {
  int result[2];
  Checked(pipe(result), "pipe");
  const pid_t child = Checked(fork(), "fork");
  if (child == 0) {
    const size_t used = Measure(stack, call);
    if (write(result[1], &used, sizeof(used)) != sizeof(used)) abort();
    _exit(0);
  }
  size_t used = 0;
  if (read(result[0], &used, sizeof(used)) != sizeof(used)) Fail("read");
  waitpid(child, nullptr, 0);
  close(result[0]), close(result[1]);
  return used;
}

}  // namespace

int main() {
  void* stack = mmap(nullptr, kStackBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (stack == MAP_FAILED) Fail("mmap");
  g_address.sin_family = AF_INET;
  g_address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t bytes = sizeof(g_address);
  g_listener = Checked(socket(AF_INET, SOCK_STREAM, 0), "socket");
  Checked(bind(g_listener, reinterpret_cast<sockaddr*>(&g_address), bytes), "bind");
  Checked(listen(g_listener, 8), "listen");
  getsockname(g_listener, reinterpret_cast<sockaddr*>(&g_address), &bytes);
  Checked(socketpair(AF_UNIX, SOCK_STREAM, 0, g_pair), "socketpair");
  for (const Call& call : kCalls) {
    Uses uses{&call, static_cast<char*>(stack), 0};
    pthread_t thread;
    if (pthread_create(&thread, nullptr, MeasureAll, &uses) != 0) abort();
    pthread_join(thread, nullptr);
    printf("%s %zu\n", call.name, uses.most);
  }
  printf("child_malloc %zu\nchild_open %zu\nchild_socket %zu\nchild_mmap %zu\n", ChildUses(static_cast<char*>(stack), Malloc),
         ChildUses(static_cast<char*>(stack), Open), ChildUses(static_cast<char*>(stack), Socket), ChildUses(static_cast<char*>(stack), Map));
  return 0;
}
