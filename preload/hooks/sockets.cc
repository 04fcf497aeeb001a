// Sockets and pipes. bind, connect and listen make no handle; they say what one is.
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "preload/hooks/address_text.h"
#include "preload/hooks/handle_hook.h"
#include "preload/hooks/socket_kind.h"

using namespace leakhunt;
using hooks::AddressText;
using hooks::Caller;
using hooks::CallReal;
using hooks::HandleType;

namespace {

LEAKHUNT_HOT_REAL(real_socket, "socket", int(int, int, int));
LEAKHUNT_REAL hooks::Real<int(int, int, int, int*)> real_socketpair("socketpair");
LEAKHUNT_HOT_REAL(real_accept, "accept", int(int, sockaddr*, socklen_t*));
LEAKHUNT_HOT_REAL(real_accept4, "accept4", int(int, sockaddr*, socklen_t*, int));
LEAKHUNT_REAL hooks::Real<int(int, const sockaddr*, socklen_t)> real_bind("bind");
LEAKHUNT_REAL hooks::Real<int(int, const sockaddr*, socklen_t)> real_connect("connect");
LEAKHUNT_REAL hooks::Real<int(int, int)> real_listen("listen");
LEAKHUNT_REAL hooks::Real<int(int*)> real_pipe("pipe");
LEAKHUNT_REAL hooks::Real<int(int*, int)> real_pipe2("pipe2");
LEAKHUNT_REAL hooks::Real<int(int, int, int, void*, socklen_t*)> real_getsockopt("getsockopt");

__attribute__((constructor)) void Find() {
  hooks::FindAll(real_socket, real_socketpair, real_accept, real_accept4, real_bind, real_connect, real_listen, real_pipe,
                 real_pipe2, real_getsockopt);
}

const char* Prefix(HandleType type) {
  switch (type) {
    case HandleType::kTcp: return "tcp ";
    case HandleType::kUdp: return "udp ";
    case HandleType::kUnix: return "unix ";
    default: return "";
  }
}

void Note(int fd, uint8_t flags, const char* relation, const sockaddr* address, socklen_t bytes) {
  AddressText text, peer;
  hooks::AddAddress(address, bytes, &peer);
  if (peer.Size() != 0) text.Add(Prefix(core::TrackedType(fd))).Add(relation).Add(peer.Get());
  core::HandleNoted(fd, flags, text.Size() != 0 ? text.Get() : nullptr);
}

}  // namespace

namespace leakhunt::hooks {

HandleType SocketKind(int domain, int type) {
  constexpr int kTypeMask = 0xF;  // without SOCK_NONBLOCK and SOCK_CLOEXEC
  if (domain == AF_UNIX) return HandleType::kUnix;
  if (domain == AF_NETLINK) return HandleType::kNetlink;
  if (domain != AF_INET && domain != AF_INET6) return HandleType::kSocket;
  if ((type & kTypeMask) == SOCK_STREAM) return HandleType::kTcp;
  return (type & kTypeMask) == SOCK_DGRAM ? HandleType::kUdp : HandleType::kSocket;
}

int Accepted(const Caller& caller, int listener, int fd, const sockaddr* peer, const socklen_t* bytes) {
  if (fd < 0) return fd;
  HandleType type = core::TrackedType(listener);
  if (type == HandleType::kOther) type = HandleType::kSocket;
  AddressText text;
  if (peer != nullptr && bytes != nullptr) {
    text.Add(Prefix(type)).Add("<- ");
    const uint32_t before = text.Size();
    AddAddress(peer, *bytes, &text);
    if (text.Size() == before) text.Clear();
  }
  return Opened(caller, fd, type, text.Get(), text.Size(), protocol::kHandleAccepted);
}

}  // namespace leakhunt::hooks

LEAKHUNT_HOOK int socket(int domain, int type, int protocol) noexcept {
  return hooks::Opened(Caller(), real_socket(domain, type, protocol), hooks::SocketKind(domain, type));
}
LEAKHUNT_HOOK int socketpair(int domain, int type, int protocol, int* pair) noexcept {
  return hooks::OpenedPair(Caller(), CallReal(real_socketpair, domain, type, protocol, pair), pair, hooks::SocketKind(domain, type));
}
LEAKHUNT_HOOK int accept(int listener, sockaddr* peer, socklen_t* bytes) {
  return hooks::Accepted(Caller(), listener, real_accept(listener, peer, bytes), peer, bytes);
}
LEAKHUNT_HOOK int accept4(int listener, sockaddr* peer, socklen_t* bytes, int flags) {
  return hooks::Accepted(Caller(), listener, real_accept4(listener, peer, bytes, flags), peer, bytes);
}

LEAKHUNT_HOOK int bind(int fd, const sockaddr* address, socklen_t bytes) noexcept {
  int result = CallReal(real_bind, fd, address, bytes);
  if (result == 0) Note(fd, 0, "", address, bytes);
  return result;
}
LEAKHUNT_HOOK int connect(int fd, const sockaddr* address, socklen_t bytes) {
  int result = CallReal(real_connect, fd, address, bytes);
  if (result == 0 || errno == EINPROGRESS) Note(fd, 0, "-> ", address, bytes);
  return result;
}
LEAKHUNT_HOOK int listen(int fd, int backlog) noexcept {
  int result = CallReal(real_listen, fd, backlog);
  if (result == 0) core::HandleNoted(fd, protocol::kHandleListening, nullptr);
  return result;
}

LEAKHUNT_HOOK int pipe(int* ends) noexcept { return hooks::OpenedPair(Caller(), CallReal(real_pipe, ends), ends, HandleType::kPipe); }
LEAKHUNT_HOOK int __pipe(int* ends) { return hooks::OpenedPair(Caller(), CallReal(real_pipe, ends), ends, HandleType::kPipe); }
LEAKHUNT_HOOK int pipe2(int* ends, int flags) noexcept {
  return hooks::OpenedPair(Caller(), CallReal(real_pipe2, ends, flags), ends, HandleType::kPipe);
}

LEAKHUNT_HOOK int getsockopt(int fd, int level, int option, void* value, socklen_t* bytes) noexcept {
  constexpr int kPeerPidfd = 77;  // SO_PEERPIDFD, Linux 6.5
  int result = CallReal(real_getsockopt, fd, level, option, value, bytes);
  if (result == 0 && level == SOL_SOCKET && option == kPeerPidfd && *bytes >= sizeof(int)) {
    hooks::Opened(Caller(), *static_cast<const int*>(value), HandleType::kPidfd);
  }
  return result;
}
