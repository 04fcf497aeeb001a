#include "preload/core/descriptor_kind.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "preload/sys/syscall.h"
#include "preload/sys/text.h"

namespace leakhunt::core {
namespace {

using protocol::HandleType;

int SocketOption(int fd, int option) {
  int value = -1;
  socklen_t bytes = sizeof(value);
  long result = sys::Call(SYS_getsockopt, fd, SOL_SOCKET, option, sys::Word(&value), sys::Word(&bytes));
  return sys::Failed(result) ? -1 : value;
}

HandleType SocketType(int fd) {
  int domain = SocketOption(fd, SO_DOMAIN), type = SocketOption(fd, SO_TYPE);
  if (domain == AF_UNIX) return HandleType::kUnix;
  if (domain == AF_NETLINK) return HandleType::kNetlink;
  if (domain != AF_INET && domain != AF_INET6) return HandleType::kSocket;
  return type == SOCK_STREAM ? HandleType::kTcp : type == SOCK_DGRAM ? HandleType::kUdp : HandleType::kSocket;
}

struct NamedKind {
  const char* prefix;
  HandleType type;
};
constexpr NamedKind kByLink[] = {
    {"/memfd:", HandleType::kMemfd},
    {"/dev/pts/", HandleType::kPty},
    {"/dev/ptmx", HandleType::kPty},
    {"pidfd:", HandleType::kPidfd},
    {"anon_inode:[eventpoll]", HandleType::kEpoll},
    {"anon_inode:[eventfd]", HandleType::kEventfd},
    {"anon_inode:[timerfd]", HandleType::kTimerfd},
    {"anon_inode:[signalfd]", HandleType::kSignalfd},
    {"anon_inode:inotify", HandleType::kInotify},
    {"anon_inode:[fanotify]", HandleType::kFanotify},
    {"anon_inode:[pidfd]", HandleType::kPidfd},
    {"anon_inode:[userfaultfd]", HandleType::kUserfaultfd},
    {"anon_inode:[io_uring]", HandleType::kIoUring},
    {"anon_inode:[perf_event]", HandleType::kPerf},
};

HandleType ByMode(int fd, uint32_t mode) {
  switch (mode & S_IFMT) {
    case S_IFREG: return HandleType::kFile;
    case S_IFDIR: return HandleType::kDirectory;
    case S_IFCHR:
    case S_IFBLK: return HandleType::kDevice;
    case S_IFIFO: return HandleType::kPipe;
    case S_IFSOCK: return SocketType(fd);
    default: return HandleType::kOther;
  }
}

}  // namespace

bool AskDescriptorKind(int fd, DescriptorKind* kind) {
  struct stat status {};
  if (sys::Failed(sys::Call(SYS_fstat, fd, sys::Word(&status)))) return false;
  kind->inode = status.st_ino;
  sys::Text<40> path;
  path.Add(sys::kOwnDescriptors).Add(static_cast<uint64_t>(fd));
  long bytes = sys::Call(SYS_readlinkat, AT_FDCWD, sys::Word(path.Get()), sys::Word(kind->link), protocol::kLabelBytes);
  kind->link[sys::Failed(bytes) ? 0 : bytes] = 0;
  for (const NamedKind& named : kByLink) {
    if (!sys::StartsWith(kind->link, named.prefix)) continue;
    kind->type = named.type;
    return true;
  }
  kind->type = ByMode(fd, status.st_mode);
  return true;
}

}  // namespace leakhunt::core
