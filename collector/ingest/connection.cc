#include "collector/ingest/connection.h"

#include <fcntl.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <vector>

#include "collector/watch/process_end.h"

namespace leakhunt::ingest {
namespace {

constexpr int kSoPeerPidfd = 77;  // SO_PEERPIDFD, Linux 6.5
constexpr size_t kMaxDescriptors = 8;

int SocketOption(int fd, int option) {
  int value = 0;
  socklen_t length = sizeof(value);
  return getsockopt(fd, SOL_SOCKET, option, &value, &length) == 0 ? value : -1;
}

// The descriptors of a packet, every one owned so that surplus ones are closed.
std::vector<UniqueFd> TakeDescriptors(const msghdr& header) {
  std::vector<UniqueFd> descriptors;
  for (cmsghdr* part = CMSG_FIRSTHDR(&header); part != nullptr;
       part = CMSG_NXTHDR(const_cast<msghdr*>(&header), part)) {
    if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) continue;
    size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < count; ++i) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(part) + i * sizeof(int), sizeof(int));
      descriptors.emplace_back(fd);
    }
  }
  return descriptors;
}

bool MayCarryDescriptor(protocol::MessageKind kind) {
  return kind == protocol::MessageKind::kHello || kind == protocol::MessageKind::kAdopt;
}

}  // namespace

Result<Connection> Connection::Adopt(UniqueFd socket) {
  if (SocketOption(socket.Get(), SO_DOMAIN) != AF_UNIX || SocketOption(socket.Get(), SO_TYPE) != SOCK_SEQPACKET) {
    return Error{"a descriptor handed over is no Unix packet socket"};
  }
  Connection connection;
  ucred credentials{};
  socklen_t length = sizeof(credentials);
  if (getsockopt(socket.Get(), SOL_SOCKET, SO_PEERCRED, &credentials, &length) != 0) {
    return ErrnoError("cannot ask who a peer is", errno);
  }
  connection.peer_.pid = credentials.pid;
  connection.peer_.uid = credentials.uid;
  int pidfd = SocketOption(socket.Get(), kSoPeerPidfd);
  connection.peer_.pidfd = pidfd >= 0 ? UniqueFd(pidfd) : watch::OpenPidfd(credentials.pid);
  fcntl(socket.Get(), F_SETFD, FD_CLOEXEC);
  fcntl(socket.Get(), F_SETFL, fcntl(socket.Get(), F_GETFL) | O_NONBLOCK);
  connection.socket_ = std::move(socket);
  return connection;
}

Result<std::optional<Received>> Connection::Receive() {
  Received received;
  iovec part{&received.message, sizeof(received.message)};
  alignas(cmsghdr) char control[CMSG_SPACE(kMaxDescriptors * sizeof(int))];
  msghdr header{};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  header.msg_control = control;
  header.msg_controllen = sizeof(control);
  ssize_t got = recvmsg(socket_.Get(), &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return std::optional<Received>();
  if (got < 0 && errno == ECONNRESET) return Error{kClosed};  // it closed with our answer unread
  if (got < 0) return ErrnoError("a connection broke", errno);
  std::vector<UniqueFd> descriptors = TakeDescriptors(header);
  if (got == 0) return Error{kClosed};
  protocol::Message& message = received.message;
  if (got != sizeof(message) || (header.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0 ||
      message.magic != protocol::kMessageMagic) {
    return Error{"sent a malformed message"};
  }
  bool may_carry = MayCarryDescriptor(static_cast<protocol::MessageKind>(message.kind));
  if (descriptors.size() != (may_carry ? 1u : 0u)) return Error{"sent a message with the wrong number of descriptors"};
  message.text[sizeof(message.text) - 1] = '\0';
  if (may_carry) received.descriptor = std::move(descriptors.front());
  return std::optional<Received>(std::move(received));
}

void Connection::Send(const protocol::Message& message) {
  (void)!send(socket_.Get(), &message, sizeof(message), MSG_DONTWAIT | MSG_NOSIGNAL);
}

void Connection::Refuse(const std::string& why) {
  protocol::Message message = MakeMessage(protocol::MessageKind::kRefused);
  std::strncpy(message.text, why.c_str(), sizeof(message.text) - 1);
  Send(message);
}

Status Connection::SendDescriptor(const protocol::Message& message, int descriptor) {
  iovec part{const_cast<protocol::Message*>(&message), sizeof(message)};
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
  std::memcpy(CMSG_DATA(rights), &descriptor, sizeof(int));
  fcntl(socket_.Get(), F_SETFL, fcntl(socket_.Get(), F_GETFL) & ~O_NONBLOCK);
  if (sendmsg(socket_.Get(), &header, MSG_NOSIGNAL) < 0) return ErrnoError("cannot pass a connection on", errno);
  return Ok();
}

protocol::Message MakeMessage(protocol::MessageKind kind) {
  protocol::Message message{};
  message.magic = protocol::kMessageMagic;
  message.version = protocol::kProtocolVersion;
  message.kind = static_cast<uint16_t>(kind);
  message.pid = static_cast<uint32_t>(getpid());
  return message;
}

}  // namespace leakhunt::ingest
