#include "preload/transport/connection.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "preload/sys/atomic.h"
#include "preload/sys/clock.h"
#include "preload/sys/hot.h"
#include "preload/sys/log.h"
#include "preload/sys/syscall.h"
#include "preload/sys/text.h"
#include "preload/transport/pages.h"

namespace leakhunt::transport {

LEAKHUNT_HOT_WORD OwnNumbers g_own;

namespace {

using protocol::Message;
using protocol::MessageKind;

constexpr uint64_t kReconnectNs = 1'000'000'000;
constexpr long kAnswerWaitNs = 100'000'000;
constexpr uint32_t kSoonAttempts = 8;

struct Connection {
  uint64_t inode = 0;  // of g_own.connection
  uint64_t memfd_inode = 0;
  uint32_t image = 0;
  uint64_t last_attempt_ns = 0;
  char path[108] = {};
  uint32_t soon_attempts = 0;  // of SeekAgain, without regard to the time
  bool sought = false, wanted = false;
  bool of_another_user = false;
  bool complained = false, refused = false;
  bool unanswered = false;  // a collector was started and has not said anything yet
};
constinit Connection g_connection;

uint64_t Inode(int fd) {
  struct stat status {};
  if (fd < 0 || sys::Failed(sys::Call(SYS_fstat, fd, sys::Word(&status)))) return 0;
  return status.st_ino;
}

void SetOwn(int* number, int value) {
  const auto lower = [](uint32_t lowest, int own) { return own >= 0 && static_cast<uint32_t>(own) < lowest ? static_cast<uint32_t>(own) : lowest; };
  sys::StoreRelease(&g_own.lowest, lower(g_own.lowest, value));  // before it is true
  sys::StoreRelease(number, value);
  sys::StoreRelease(&g_own.lowest, lower(lower(kNearNumbers, g_own.connection), g_own.memfd));
}

bool StillOurs() { return g_own.connection >= 0 && Inode(g_own.connection) == g_connection.inode; }

Message Compose(MessageKind kind) {
  Message message{};
  message.magic = protocol::kMessageMagic;
  message.version = protocol::kProtocolVersion;
  message.kind = static_cast<uint16_t>(kind);
  message.pid = static_cast<uint32_t>(sys::GetPid());
  message.image = g_connection.image;
  return message;
}

long SendHello(int fd, int memfd) {
  Message message = Compose(MessageKind::kHello);
  iovec part{&message, sizeof(message)};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr header{};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  header.msg_control = control;
  header.msg_controllen = sizeof(control);
  cmsghdr* rights = CMSG_FIRSTHDR(&header);
  rights->cmsg_level = SOL_SOCKET;
  rights->cmsg_type = SCM_RIGHTS;
  rights->cmsg_len = CMSG_LEN(sizeof(int));
  *reinterpret_cast<int*>(CMSG_DATA(rights)) = memfd;
  return sys::Call(SYS_sendmsg, fd, sys::Word(&header), MSG_NOSIGNAL | MSG_DONTWAIT);
}

// The other end is ours or root's.
bool TrustedPeer(int fd, bool* of_another_user) {
  struct ucred credentials {};
  socklen_t size = sizeof(credentials);
  if (sys::Failed(sys::Call(SYS_getsockopt, fd, SOL_SOCKET, SO_PEERCRED, sys::Word(&credentials), sys::Word(&size)))) return false;
  *of_another_user = credentials.uid != static_cast<uid_t>(sys::Call(SYS_geteuid));
  return credentials.uid == 0 || !*of_another_user;
}

void Keep(int fd) {
  SetOwn(&g_own.connection, MoveHigh(fd));
  g_connection.inode = Inode(g_own.connection);
}

void Drop() {
  if (StillOurs()) sys::Close(g_own.connection);
  SetOwn(&g_own.connection, -1);
}

bool ConnectTo(const char* path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (sys::CopyText(address.sun_path, sizeof(address.sun_path), path) != sys::Length(path)) return false;
  long fd = sys::Call(SYS_socket, AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (sys::Failed(fd)) return false;
  if (sys::Failed(sys::Call(SYS_connect, fd, sys::Word(&address), sizeof(address))) ||
      !TrustedPeer(static_cast<int>(fd), &g_connection.of_another_user) ||
      sys::Failed(SendHello(static_cast<int>(fd), g_own.memfd))) {
    sys::Close(static_cast<int>(fd));
    return false;
  }
  Keep(static_cast<int>(fd));
  return true;
}

constinit char g_runtime_directory[108] = {};

bool ConnectAnywhere() {
  if (g_connection.path[0] != 0) return ConnectTo(g_connection.path);  // a variable names the only one wanted
  sys::Text<108> path;
  if (g_runtime_directory[0] != 0 && ConnectTo(path.Add(g_runtime_directory).Add("/leakhunt.sock").Get())) return true;
  sys::Text<108> temporary;
  temporary.Add("/tmp/leakhunt-").Add(static_cast<uint64_t>(sys::Call(SYS_geteuid))).Add("/collector.sock");
  if (ConnectTo(temporary.Get())) return true;
  return ConnectTo("/run/leakhunt/collector.sock");
}

void Attempt(uint64_t now_ns) {
  g_connection.last_attempt_ns = now_ns;
  if (Inode(g_own.memfd) == g_connection.memfd_inode) {
    ConnectAnywhere();
  } else {
    SetOwn(&g_own.memfd, -1);
    g_connection.wanted = false;
  }
}

// Reads one waiting message. False when the other end is gone.
bool Receive(Settings* settings) {
  Message message;
  long bytes = sys::Call(SYS_recvfrom, g_own.connection, sys::Word(&message), sizeof(message), MSG_DONTWAIT, 0, 0);
  if (bytes == -11 /* EAGAIN */ || bytes == -4 /* EINTR */) return true;
  if (bytes <= 0) return false;
  if (bytes != sizeof(message) || message.magic != protocol::kMessageMagic) return false;
  g_connection.unanswered = false;
  message.text[sizeof(message.text) - 1] = 0;
  if (message.kind == static_cast<uint16_t>(MessageKind::kNotice) && !g_connection.complained) sys::Log(message.text);
  if (message.kind == static_cast<uint16_t>(MessageKind::kRefused)) {
    sys::Log("the collector refused: ", message.text);
    g_connection.wanted = false;
    g_connection.refused = true;
    return false;
  }
  if (message.kind == static_cast<uint16_t>(MessageKind::kWelcome) && settings != nullptr) {
    settings->received = true;
    settings->fixed_interval = message.values[protocol::kWelcomeFixedInterval];
    settings->budget_ppm = static_cast<uint32_t>(message.values[protocol::kWelcomeBudgetPpm]);
    settings->track = static_cast<uint32_t>(message.values[protocol::kWelcomeTrack]);
    settings->follow_children = message.values[protocol::kWelcomeChildren] != 0;
  }
  return true;
}

// The other end is gone.
void Lost() {
  if (g_connection.unanswered) sys::Log("the collector that was started for this program ended at once: nothing is recorded");
  g_connection.unanswered = false;
  Drop();
}

// Text of `path` with its last `cut` components replaced by `tail`.
const char* Beside(sys::Text<512>* out, const char* path, int cut, const char* tail) {
  uint64_t end = sys::Length(path);
  for (; cut > 0; --cut) {
    while (end > 0 && path[end - 1] != '/') --end;
    if (end > 0) --end;
  }
  for (uint64_t i = 0; i < end; ++i) out->Put(path[i]);
  return out->Add(tail).Get();
}

bool Executable(const char* path) { return !sys::Failed(sys::Call(SYS_faccessat, AT_FDCWD, sys::Word(path), 1 /* X_OK */)); }

bool FindCollector(const char* library_path, sys::Text<512>* found) {
  struct Place { int cut; const char* tail; };
  // P/lib/libleakhunt.so -> P/bin; the build tree; the library's own folder; P/lib/TRIPLET/libleakhunt.so.
  static constexpr Place kPlaces[] = {{2, "/bin/leakhunt-collect"}, {2, "/collector/leakhunt-collect"},
                                      {1, "/leakhunt-collect"}, {3, "/bin/leakhunt-collect"}};
  for (const Place& place : kPlaces) {
    *found = sys::Text<512>();
    if (Executable(Beside(found, library_path, place.cut, place.tail))) return true;
  }
  return false;
}

// The collector's descriptors: nothing as 0, 1 and 2, the socket as 3, no other. `socket` may be one of 0 to 2 itself, where
// the program was started with those closed; so it leaves them first.
void ArrangeDescriptors(int socket) {
  long kept = sys::Call(SYS_fcntl, socket, F_DUPFD, 4);
  if (sys::Failed(kept)) kept = socket;
  long nothing = sys::Open("/dev/null", O_RDWR);
  if (sys::Failed(nothing)) nothing = sys::Open("/", O_RDONLY);  // a root without /dev
  for (int fd = 0; fd < 3 && !sys::Failed(nothing); ++fd) sys::Call(SYS_dup3, nothing, fd, 0);  // fails for nothing == fd
  if (kept == 3) sys::Call(SYS_fcntl, 3, F_SETFD, 0);
  sys::Call(SYS_dup3, kept, 3, 0);  // fails for kept == 3
  sys::Call(436 /* SYS_close_range */, 4, 0x7FFF'FFFF, 0);
}

[[noreturn]] void ExecCollector(const char* path, int socket, const char* const* environment) {
  sys::Call(SYS_setsid);
  ArrangeDescriptors(socket);
  struct KernelAction { uint64_t handler, flags, restorer, mask; } standard{};
  for (int signal = 1; signal <= 64; ++signal) sys::Call(SYS_rt_sigaction, signal, sys::Word(&standard), 0, 8);
  uint64_t none = 0;
  sys::Call(SYS_rt_sigprocmask, SIG_SETMASK, sys::Word(&none), 0, 8);
  const char* arguments[] = {path, "--client-fd", "3", nullptr};
  const char* kept[512];
  uint32_t n = 0;
  for (; environment != nullptr && *environment != nullptr && n + 1 < 512; ++environment) {
    if (!sys::StartsWith(*environment, "LD_PRELOAD=")) kept[n++] = *environment;
  }
  kept[n] = nullptr;
  sys::Call(SYS_execve, sys::Word(path), sys::Word(arguments), sys::Word(kept));
  sys::Call(SYS_exit_group, 127);
  __builtin_unreachable();
}

}  // namespace

void SetOwnMemfd(int fd) {
  SetOwn(&g_own.memfd, fd);
  g_connection.memfd_inode = Inode(fd);
}

bool NumberIsStillOurs(int fd) {
  if (fd < 0) return false;
  if (fd == g_own.connection) return StillOurs();
  return Inode(fd) == g_connection.memfd_inode;
}

void OwnDescriptors(int* first, int* second) {
  int a = g_own.connection, b = g_own.memfd;
  *first = a < b ? a : b;
  *second = a < b ? b : a;
}

int VacateDescriptor(int fd) {
  if (!IsOwnDescriptor(fd)) return fd;
  long elsewhere = sys::Call(SYS_fcntl, fd, F_DUPFD_CLOEXEC, fd + 1);
  if (sys::Failed(elsewhere)) elsewhere = sys::Call(SYS_fcntl, fd, F_DUPFD_CLOEXEC, 3);
  int moved = sys::Failed(elsewhere) ? -1 : static_cast<int>(elsewhere);
  SetOwn(fd == g_own.connection ? &g_own.connection : &g_own.memfd, moved);
  return moved;
}

bool Connect(const char* preferred_path, int memfd, uint32_t image, Answer answer, Settings* settings) {
  SetOwnMemfd(memfd);
  g_connection.image = image;
  g_connection.sought = g_connection.wanted = true;
  sys::CopyText(g_connection.path, sizeof(g_connection.path), preferred_path);
  if (!ConnectAnywhere()) return false;
  if (answer == Answer::kNotAwaited || (answer == Answer::kOfAnother && !g_connection.of_another_user)) return true;
  timespec limit{0, kAnswerWaitNs};  // the kernel leaves in it what is left
  while (!settings->received && Connected()) {
    pollfd wait{g_own.connection, POLLIN, 0};
    if (sys::Call(SYS_ppoll, sys::Word(&wait), 1, sys::Word(&limit), 0, 0) <= 0) break;
    if (!Receive(settings)) Drop();
  }
  return Connected();
}

bool Spawn(const char* library_path, const char* const* environment, int memfd, uint32_t image, bool complained) {
  g_connection.complained = complained;
  SetOwnMemfd(memfd);
  g_connection.image = image;
  g_connection.wanted = true;
  sys::Text<512> collector;
  if (!FindCollector(library_path, &collector)) {
    sys::Log("no collector is running and none was found beside the library; recording waits for `leakhunt-collect`");
    return false;
  }
  int pair[2];
  if (sys::Failed(sys::Call(SYS_socketpair, AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sys::Word(pair)))) {
    sys::Log("the kernel refuses a socket: no collector is started, and recording waits for one");
    return false;
  }
  bool sent = !sys::Failed(SendHello(pair[0], memfd));
  // A child with no exit signal: the program's wait() does not see it. It leaves at once, so the collector belongs to init.
  long child = sent ? sys::Call(SYS_clone, 0, 0, 0, 0, 0) : -1;
  if (child == 0) {
    if (sys::Call(SYS_clone, SIGCHLD, 0, 0, 0, 0) == 0) ExecCollector(collector.Get(), pair[1], environment);
    sys::Call(SYS_exit_group, 0);
  }
  sys::Close(pair[1]);
  if (child < 0) {
    sys::Close(pair[0]);
    sys::Log("the kernel refuses a process: no collector is started, and recording waits for one");
    return false;
  }
  int status;
  while (sys::Call(SYS_wait4, child, sys::Word(&status), 0x8000'0000 /* __WCLONE */, 0) == -4 /* EINTR */) {
  }
  sys::Call(SYS_fcntl, pair[0], F_SETFL, O_NONBLOCK);
  Keep(pair[0]);
  g_connection.unanswered = true;
  return true;
}

bool Connected() { return g_own.connection >= 0; }

bool Refused() { return g_connection.refused; }

bool SoughtCollector() { return g_connection.sought; }

void KeepConnected(uint64_t now_ns) {
  if (Connected()) {
    if (!StillOurs()) {
      SetOwn(&g_own.connection, -1);  // the program closed it; what has the number now is the program's
    } else if (!Receive(nullptr)) {
      Lost();
    } else {
      return;
    }
  }
  if (g_connection.wanted && now_ns - g_connection.last_attempt_ns >= kReconnectNs) Attempt(now_ns);
}

void ListenOnce() {
  constexpr int kMostMessages = 4;
  if (!Connected() || !StillOurs()) return;
  for (int i = 0; i < kMostMessages; ++i) {
    pollfd waiting{g_own.connection, POLLIN, 0};
    timespec none{};
    if (sys::Call(SYS_ppoll, sys::Word(&waiting), 1, sys::Word(&none), 0, 0) <= 0) return;
    if (!Receive(nullptr)) return Lost();
  }
}

void SeekAgain() {
  if (Connected() || !g_connection.wanted) return;
  const uint64_t now_ns = sys::MonotonicCoarseNs();
  if (g_connection.soon_attempts < kSoonAttempts) {
    ++g_connection.soon_attempts;
  } else if (now_ns - g_connection.last_attempt_ns < kReconnectNs) {
    return;
  }
  Attempt(now_ns);
}

void Tell(MessageKind kind, uint64_t value0, uint64_t value1, const char* text) {
  if (!StillOurs()) return;
  Message message = Compose(kind);
  message.values[0] = value0;
  message.values[1] = value1;
  sys::CopyText(message.text, sizeof(message.text), text);
  sys::Call(SYS_sendto, g_own.connection, sys::Word(&message), sizeof(message), MSG_NOSIGNAL | MSG_DONTWAIT, 0, 0);
}

void ForgetConnection(int parent_memfd) {
  Drop();
  if (parent_memfd >= 0 && Inode(parent_memfd) == g_connection.memfd_inode) sys::Close(parent_memfd);
  SetOwn(&g_own.memfd, -1);
  g_connection.last_attempt_ns = 0;
  g_connection.sought = false;
  g_connection.soon_attempts = 0;
  g_connection.unanswered = false;
}

void SetRuntimeDirectory(const char* const* environment) {
  for (; environment != nullptr && *environment != nullptr; ++environment) {
    if (!sys::StartsWith(*environment, "XDG_RUNTIME_DIR=")) continue;
    sys::CopyText(g_runtime_directory, sizeof(g_runtime_directory), *environment + 16);
  }
}

}  // namespace leakhunt::transport
