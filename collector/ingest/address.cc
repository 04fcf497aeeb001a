#include "collector/ingest/address.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

namespace leakhunt::ingest {
namespace {

constexpr int kBacklog = 512;

std::string Variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

Result<sockaddr_un> ToSockaddr(const std::filesystem::path& path) {
  sockaddr_un name{};
  name.sun_family = AF_UNIX;
  if (path.native().size() >= sizeof(name.sun_path)) {
    return Error{"socket path " + path.native() + " is too long: at most " + std::to_string(sizeof(name.sun_path) - 1) +
                 " bytes"};
  }
  std::memcpy(name.sun_path, path.c_str(), path.native().size());
  return name;
}

std::filesystem::path DirectoryOf(const Address& address) {
  auto directory = address.path.parent_path();
  return directory.empty() ? std::filesystem::path(".") : directory;
}

}  // namespace

Address ChooseAddress(const std::string& socket_option) {
  // Root's: workers that give up root must reach it. Who may enter is judged by SO_PEERCRED.
  const mode_t mode = geteuid() == 0 ? 0666 : 0600;
  if (!socket_option.empty()) return {socket_option, false, 0, mode};
  if (std::string named = Variable("LEAKHUNT_SOCKET"); !named.empty()) return {named, false, 0, mode};
  if (geteuid() == 0) return {"/run/leakhunt/collector.sock", true, 0755, mode};
  if (std::string runtime = Variable("XDG_RUNTIME_DIR"); !runtime.empty()) return {runtime + "/leakhunt.sock"};
  return {"/tmp/leakhunt-" + std::to_string(geteuid()) + "/collector.sock", true};
}

Status PrepareDirectory(const Address& address) {
  std::filesystem::path directory = DirectoryOf(address);
  if (address.is_default && mkdir(directory.c_str(), address.directory_mode) == 0) {
    chmod(directory.c_str(), address.directory_mode);  // whatever the umask
  }
  struct stat status {};
  int failed = address.is_default ? lstat(directory.c_str(), &status) : stat(directory.c_str(), &status);
  if (failed != 0) return ErrnoError("cannot use the socket directory " + directory.native(), errno);
  if (!S_ISDIR(status.st_mode)) return Error{"the socket directory " + directory.native() + " is not a directory"};
  if (address.is_default && status.st_uid != geteuid()) {
    return Error{"the socket directory " + directory.native() + " belongs to another user: give --socket PATH"};
  }
  if ((status.st_mode & 022) != 0 && ((status.st_mode & S_ISVTX) == 0 || address.is_default)) {
    return Error{"the socket directory " + directory.native() +
                 " can be written by others: chmod it or give --socket PATH"};
  }
  return Ok();
}

Result<std::optional<UniqueFd>> TakeLock(const Address& address) {
  std::string path = address.path.native() + ".lock";
  UniqueFd lock(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!lock.Valid()) return ErrnoError("cannot open the lock " + path, errno);
  struct stat status {};
  if (fstat(lock.Get(), &status) != 0 || !S_ISREG(status.st_mode) ||
      (status.st_uid != geteuid() && status.st_uid != 0)) {
    return Error{"the lock " + path + " belongs to another user: give --socket PATH"};
  }
  if (flock(lock.Get(), LOCK_EX | LOCK_NB) == 0) return std::optional<UniqueFd>(std::move(lock));
  if (errno == EWOULDBLOCK) return std::optional<UniqueFd>();
  return ErrnoError("cannot lock " + path, errno);
}

Result<UniqueFd> Listen(const Address& address) {
  auto name = ToSockaddr(address.path);
  if (!name) return name.error();
  struct stat status {};
  if (lstat(address.path.c_str(), &status) == 0) {
    if (!S_ISSOCK(status.st_mode)) return Error{address.path.native() + " exists and is no socket: give --socket PATH"};
    unlink(address.path.c_str());
  }
  UniqueFd socket_fd(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket_fd.Valid()) return ErrnoError("cannot create a socket", errno);
  mode_t old_mask = umask(0777 & ~address.socket_mode);
  int bound = bind(socket_fd.Get(), reinterpret_cast<const sockaddr*>(&*name), sizeof(*name));
  int bind_errno = errno;
  umask(old_mask);
  if (bound != 0) return ErrnoError("cannot listen at " + address.path.native(), bind_errno);
  if (listen(socket_fd.Get(), kBacklog) != 0) return ErrnoError("cannot listen at " + address.path.native(), errno);
  return socket_fd;
}

Result<UniqueFd> ConnectTo(const Address& address) {
  auto name = ToSockaddr(address.path);
  if (!name) return name.error();
  UniqueFd socket_fd(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
  if (!socket_fd.Valid()) return ErrnoError("cannot create a socket", errno);
  if (connect(socket_fd.Get(), reinterpret_cast<const sockaddr*>(&*name), sizeof(*name)) != 0) {
    return ErrnoError("cannot connect to " + address.path.native(), errno);
  }
  return socket_fd;
}

Result<Address> MakePrivateAddress(const std::filesystem::path& last_resort) {
  Error last{"no directory for the socket"};
  for (const std::string& parent : {Variable("XDG_RUNTIME_DIR"), Variable("TMPDIR"), std::string("/tmp"),
                                    std::string("/dev/shm"), std::string("/run"), last_resort.native()}) {
    if (parent.empty() || parent.size() > 64) continue;
    std::string path = parent + "/leakhunt-XXXXXX";
    if (mkdtemp(path.data()) == nullptr) {
      last = ErrnoError("cannot make a socket directory in " + parent, errno);
      continue;
    }
    Address address{path + "/collector.sock"};
    // As ChooseAddress; and the name cannot be guessed.
    if (geteuid() == 0 && chmod(path.c_str(), 0711) == 0) address.socket_mode = 0666;
    return address;
  }
  return last;
}

}  // namespace leakhunt::ingest
