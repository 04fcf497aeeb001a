#include "collector/watch/kernel_handles.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include <charconv>
#include <cstring>

#include "collector/watch/socket_tables.h"

namespace leakhunt::watch {
namespace {

using snapshot::HandleType;

constexpr int kMaxCountedEpolls = 64;  // fdinfo of an epoll lists every member: bounded work

constexpr std::pair<std::string_view, HandleType> kAnonymousKinds[] = {
    {"eventpoll", HandleType::kEpoll}, {"eventfd", HandleType::kEventfd},
    {"timerfd", HandleType::kTimerfd}, {"signalfd", HandleType::kSignalfd},
    {"inotify", HandleType::kInotify}, {"fanotify", HandleType::kFanotify},
    {"pidfd", HandleType::kPidfd},     {"io_uring", HandleType::kIoUring},
    {"perf_event", HandleType::kPerf}, {"userfaultfd", HandleType::kUserfaultfd},
};

// The number in "socket:[123]".
uint64_t InodeInLink(std::string_view link) {
  size_t bracket = link.find('[');
  uint64_t inode = 0;
  if (bracket != std::string_view::npos) std::from_chars(link.data() + bracket + 1, link.data() + link.size(), inode);
  return inode;
}

HandleType TypeOfFile(const struct statx& file, std::string_view link) {
  switch (file.stx_mode & S_IFMT) {
    case S_IFDIR:
      return HandleType::kDirectory;
    case S_IFIFO:
      return HandleType::kPipe;
    case S_IFSOCK:
      return HandleType::kSocket;
    case S_IFBLK:
      return HandleType::kDevice;
    case S_IFCHR: {
      bool pty = link.starts_with("/dev/pts/") || link == "/dev/ptmx" || link.starts_with("/dev/tty");
      return pty ? HandleType::kPty : HandleType::kDevice;
    }
    default:
      return HandleType::kFile;
  }
}

// A socket in no table is neither bound nor connected; its inode still knows the protocol ("TCP", "UDP", …).
SocketEntry UnlistedSocket(const std::string& path, std::string_view link) {
  char name[32] = {};
  ssize_t length = getxattr(path.c_str(), "system.sockprotoname", name, sizeof(name) - 1);
  std::string_view protocol(name, length > 0 ? strnlen(name, static_cast<size_t>(length)) : 0);
  if (protocol.starts_with("TCP")) return {HandleType::kTcp, "tcp unconnected"};
  if (protocol.starts_with("UDP")) return {HandleType::kUdp, "udp unbound"};
  if (protocol.starts_with("UNIX")) return {HandleType::kUnix, "unix unconnected"};
  if (protocol == "NETLINK") return {HandleType::kNetlink, "netlink"};
  return {HandleType::kSocket, protocol.empty() ? std::string(link) : std::string(protocol)};
}

class Sweep {
 public:
  explicit Sweep(const ProcDirectory& process) : process_(process) {}

  std::optional<ledger::KernelHandle> Look(int fd, uint64_t own_socket_inode) {
    std::string name = "fd/" + std::to_string(fd);
    auto link = process_.Link(name.c_str());
    if (!link) return std::nullopt;  // closed since it was listed
    if (link->starts_with("/memfd:leakhunt")) return ++own_, std::nullopt;
    ledger::KernelHandle handle{fd, TypeOfLink(*link), *link, InodeInLink(*link), *link};
    if (handle.type == HandleType::kSocket) {
      if (handle.inode == own_socket_inode && own_socket_inode != 0) return ++own_, std::nullopt;
      DescribeSocket(name, &handle);
    } else if (handle.type == HandleType::kEpoll) {
      DescribeEpoll(fd, &handle);
    } else if (handle.type == HandleType::kFile) {
      DescribeFile(name, &handle);
    }
    return handle;
  }

  uint64_t Own() const { return own_; }

 private:
  void DescribeSocket(const std::string& name, ledger::KernelHandle* handle) {
    if (!tables_) tables_ = ReadSocketTables(process_);
    auto found = tables_->find(handle->inode);
    std::string path = "/proc/self/fd/" + std::to_string(process_.Fd()) + "/" + name;
    SocketEntry entry = found != tables_->end() ? found->second : UnlistedSocket(path, handle->link);
    handle->type = entry.type;
    handle->label = std::move(entry.label);
  }

  void DescribeEpoll(int fd, ledger::KernelHandle* handle) {
    handle->label = "epoll";
    if (++epolls_ > kMaxCountedEpolls) return;
    std::string text = process_.Read(("fdinfo/" + std::to_string(fd)).c_str()).value_or("");
    int members = 0;
    for (size_t at = text.find("tfd:"); at != std::string::npos; at = text.find("tfd:", at + 1)) ++members;
    handle->label += " of " + std::to_string(members);
  }

  void DescribeFile(const std::string& name, ledger::KernelHandle* handle) {
    struct statx file {};
    if (statx(process_.Fd(), name.c_str(), AT_STATX_DONT_SYNC, STATX_TYPE | STATX_INO, &file) != 0) return;
    handle->type = TypeOfFile(file, handle->link);
    handle->inode = file.stx_ino;
  }

  const ProcDirectory& process_;
  std::optional<SocketTables> tables_;
  int epolls_ = 0;
  uint64_t own_ = 0;
};

}  // namespace

HandleType TypeOfLink(std::string_view link) {
  if (link.starts_with("socket:")) return HandleType::kSocket;
  if (link.starts_with("pipe:")) return HandleType::kPipe;
  if (link.starts_with("pidfd:")) return HandleType::kPidfd;
  if (link.starts_with("/memfd:")) return HandleType::kMemfd;
  if (!link.starts_with("anon_inode:")) return link.starts_with("/") ? HandleType::kFile : HandleType::kOther;
  std::string_view kind = link.substr(std::strlen("anon_inode:"));
  if (kind.starts_with("[")) kind.remove_prefix(1);
  for (const auto& [name, type] : kAnonymousKinds) {
    if (kind.starts_with(name)) return type;
  }
  return HandleType::kOther;
}

std::optional<KernelHandles> ReadKernelHandles(const ProcDirectory& process, uint64_t own_socket_inode) {
  const auto living = process.OfLivingThread();
  const ProcDirectory& seen = living ? *living : process;
  auto numbers = seen.Numbers("fd");
  if (!numbers) return std::nullopt;
  Sweep sweep(seen);
  KernelHandles result;
  result.handles.reserve(numbers->size());
  for (int fd : *numbers) {
    if (auto handle = sweep.Look(fd, own_socket_inode)) result.handles.push_back(std::move(*handle));
  }
  result.own = sweep.Own();
  return result;
}

}  // namespace leakhunt::watch
