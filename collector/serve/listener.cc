#include "collector/serve/listener.h"

#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <memory>
#include <utility>

namespace leakhunt::serve {
namespace {

constexpr int kBacklog = 256;
constexpr char kUnixPrefix[] = "unix:";

bool IsLoopback(const sockaddr* name) {
  if (name->sa_family == AF_INET) {
    return (ntohl(reinterpret_cast<const sockaddr_in*>(name)->sin_addr.s_addr) >> 24) == 127;
  }
  if (name->sa_family != AF_INET6) return false;
  const in6_addr& address = reinterpret_cast<const sockaddr_in6*>(name)->sin6_addr;
  return IN6_IS_ADDR_LOOPBACK(&address) || (IN6_IS_ADDR_V4MAPPED(&address) && address.s6_addr[12] == 127);
}

Result<sockaddr_un> NameOf(const std::filesystem::path& path) {
  sockaddr_un name{};
  name.sun_family = AF_UNIX;
  if (path.native().size() >= sizeof(name.sun_path)) {
    return Error{"unix:" + path.native() + " is too long: a socket's path has at most " +
                 std::to_string(sizeof(name.sun_path) - 1) + " bytes"};
  }
  std::memcpy(name.sun_path, path.c_str(), path.native().size());
  return name;
}

// The lock beside the socket, which only its holder may replace. Held until the collector ends.
Result<UniqueFd> LockBeside(const std::filesystem::path& path) {
  const std::string lock_path = path.native() + ".lock";
  UniqueFd lock(open(lock_path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!lock.Valid()) return ErrnoError("cannot open the lock " + lock_path, errno);
  struct stat ours {
  }, named{};
  if (fstat(lock.Get(), &ours) != 0 || !S_ISREG(ours.st_mode)) return Error{lock_path + " is no regular file"};
  if (flock(lock.Get(), LOCK_EX | LOCK_NB) != 0)
    return Error{"unix:" + path.native() + " is in use by another collector"};
  if (lstat(lock_path.c_str(), &named) != 0 || named.st_ino != ours.st_ino || named.st_dev != ours.st_dev) {
    return Error{"unix:" + path.native() + " is in use by another collector"};  // its holder has just removed the lock
  }
  return lock;
}

// Makes room for a new socket: only a socket that nobody listens at is removed.
Status RemoveStale(const std::filesystem::path& path, const sockaddr_un& name) {
  struct stat status {};
  if (lstat(path.c_str(), &status) != 0) return Ok();
  if (!S_ISSOCK(status.st_mode)) return Error{path.native() + " exists and is no socket"};
  UniqueFd probe(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!probe.Valid()) return ErrnoError("cannot create a socket", errno);
  if (connect(probe.Get(), reinterpret_cast<const sockaddr*>(&name), sizeof(name)) == 0 || errno != ECONNREFUSED) {
    return Error{"unix:" + path.native() + " is in use"};
  }
  if (unlink(path.c_str()) != 0) return ErrnoError("cannot replace " + path.native(), errno);
  return Ok();
}

}  // namespace

Result<HttpAddress> ParseHttpAddress(const std::string& text) {
  HttpAddress address;
  if (text.rfind(kUnixPrefix, 0) == 0) {
    address.path = text.substr(sizeof(kUnixPrefix) - 1);
    if (address.path.empty()) return Error{"'" + text + "' names no socket: write unix:PATH"};
    address.path = std::filesystem::absolute(address.path);
    return address;
  }
  size_t colon = text.rfind(':');
  std::string port = colon == std::string::npos ? text : text.substr(colon + 1);
  std::string host = colon == std::string::npos ? "" : text.substr(0, colon);
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
  auto [rest, error] = std::from_chars(port.data(), port.data() + port.size(), address.port);
  if (error != std::errc() || rest != port.data() + port.size() || address.port < 1 || address.port > 65535) {
    return Error{"'" + text + "' is neither ADDRESS:PORT nor unix:PATH"};
  }
  if (!host.empty()) address.host = host;
  return address;
}

std::string AddressText(const HttpAddress& address) {
  if (!address.path.empty()) return kUnixPrefix + address.path.native();
  const bool six = address.host.find(':') != std::string::npos;
  return "http://" + (six ? "[" + address.host + "]" : address.host) + ":" + std::to_string(address.port) + "/";
}

Listener::Listener(Listener&& other) noexcept
    : socket_(std::move(other.socket_)),
      lock_(std::move(other.lock_)),
      local_(other.local_),
      path_(std::exchange(other.path_, {})),
      device_(other.device_),
      inode_(other.inode_) {}

Listener::~Listener() {
  if (path_.empty()) return;
  struct stat status {};
  const bool ours = lstat(path_.c_str(), &status) == 0 && status.st_dev == device_ && status.st_ino == inode_;
  if (ours) unlink(path_.c_str());
  unlink((path_.native() + ".lock").c_str());
}

Result<Listener> Listener::Open(const HttpAddress& address) {
  Listener listener;
  Status opened = address.path.empty() ? listener.OpenTcp(address) : listener.OpenUnix(address.path);
  if (!opened) return opened.error();
  if (listen(listener.Fd(), kBacklog) != 0) return ErrnoError("cannot listen at " + AddressText(address), errno);
  return listener;
}

Status Listener::OpenUnix(const std::filesystem::path& path) {
  auto name = NameOf(path);
  if (!name) return name.error();
  auto lock = LockBeside(path);
  if (!lock) return lock.error();
  if (Status removed = RemoveStale(path, *name); !removed) return removed;
  socket_.Reset(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket_.Valid()) return ErrnoError("cannot create a socket", errno);
  const mode_t before = umask(0177);
  const int bound = bind(socket_.Get(), reinterpret_cast<const sockaddr*>(&*name), sizeof(*name));
  const int bind_errno = errno;
  umask(before);
  if (bound != 0) return ErrnoError("cannot listen at unix:" + path.native(), bind_errno);
  struct stat status {};
  if (lstat(path.c_str(), &status) != 0) return ErrnoError("cannot look at " + path.native(), errno);
  lock_ = std::move(*lock);
  path_ = path, device_ = status.st_dev, inode_ = status.st_ino;
  local_ = true;
  return Ok();
}

Status Listener::OpenTcp(const HttpAddress& address) {
  addrinfo hints{}, *found = nullptr;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  const std::string where = AddressText(address);
  const int failed = getaddrinfo(address.host.c_str(), std::to_string(address.port).c_str(), &hints, &found);
  if (failed != 0) return Error{"cannot listen at " + where + ": " + gai_strerror(failed)};
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> owner(found, freeaddrinfo);
  socket_.Reset(socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket_.Valid()) return ErrnoError("cannot create a socket", errno);
  // Reuse of the address lets a restarted collector in while old connections linger. It shares nothing: a second
  // listener is refused. SO_REUSEPORT would share.
  const int yes = 1;
  setsockopt(socket_.Get(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
  if (bind(socket_.Get(), found->ai_addr, found->ai_addrlen) != 0)
    return ErrnoError("cannot listen at " + where, errno);
  local_ = IsLoopback(found->ai_addr);
  return Ok();
}

}  // namespace leakhunt::serve
