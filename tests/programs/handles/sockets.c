// Sockets, pipes, and descriptors that arrive in a message.
#include <fcntl.h>
#include <netinet/in.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "case.h"

static int Listen(struct sockaddr_in* address) {
  socklen_t bytes = sizeof(*address);
  *address = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  int listener = socket(AF_INET, SOCK_STREAM, 0);
  MUST(bind(listener, (struct sockaddr*)address, bytes) == 0 && listen(listener, 16) == 0);
  MUST(getsockname(listener, (struct sockaddr*)address, &bytes) == 0);
  return listener;
}

static int Connect(const struct sockaddr_in* address) {
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  MUST(connect(fd, (const struct sockaddr*)address, sizeof(*address)) == 0);
  return fd;
}

HANDLE_CASE(socket_tcp, "tcp", 1) { MUST(socket(AF_INET, SOCK_STREAM, 0) >= 0); }
HANDLE_CASE(socket_udp, "udp", 1) { MUST(socket(AF_INET, SOCK_DGRAM, 0) >= 0); }
HANDLE_CASE(socket_unix, "unix", 1) { MUST(socket(AF_UNIX, SOCK_STREAM, 0) >= 0); }
HANDLE_CASE(socket_netlink, "netlink", 1) { MUST(socket(AF_NETLINK, SOCK_RAW, 0) >= 0); }
HANDLE_CASE(socketpair, "unix", 2) {
  int pair[2];
  MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
}
HANDLE_CASE(accept, "tcp", 4) {
  struct sockaddr_in address;
  int listener = Listen(&address);
  Connect(&address);
  MUST(accept(listener, NULL, NULL) >= 0);
  close(Connect(&address));
  MUST(accept4(listener, NULL, NULL, SOCK_CLOEXEC) >= 0);
}
HANDLE_CASE(pipe, "pipe", 2) {
  int ends[2];
  MUST(pipe(ends) == 0);
}
HANDLE_CASE(pipe2, "pipe", 1) {
  int ends[2];
  MUST(pipe2(ends, O_NONBLOCK) == 0 && close(ends[0]) == 0);
}

static void SendDescriptor(int socket, int fd) {
  char byte = 'x', control[CMSG_SPACE(sizeof(int))] = {0};
  struct iovec part = {&byte, 1};
  struct msghdr message = {
      .msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)};
  struct cmsghdr* header = CMSG_FIRSTHDR(&message);
  *header = (struct cmsghdr){.cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
  memcpy(CMSG_DATA(header), &fd, sizeof(fd));
  MUST(sendmsg(socket, &message, 0) == 1);
}

static void Receive(int socket, int flags) {
  char byte, control[CMSG_SPACE(sizeof(int))];
  struct iovec part = {&byte, 1};
  struct msghdr message = {
      .msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)};
  MUST(recvmsg(socket, &message, flags) == 1);
}

HANDLE_CASE(recvmsg, "", 4) {  // the pair, what was sent, what was received
  int pair[2];
  MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
  SendDescriptor(pair[0], open("/etc/passwd", O_RDONLY));
  Receive(pair[1], 0);
}
HANDLE_CASE(recvmsg_peek, "", 6) {  // each peek installs a descriptor of its own
  int pair[2];
  MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
  SendDescriptor(pair[0], open("/etc/passwd", O_RDONLY));
  Receive(pair[1], MSG_PEEK);
  Receive(pair[1], MSG_PEEK);
  Receive(pair[1], 0);
}
HANDLE_CASE(recvmmsg, "", 4) {
  int pair[2];
  MUST(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair) == 0);
  SendDescriptor(pair[0], open("/etc/passwd", O_RDONLY));
  char byte, control[CMSG_SPACE(sizeof(int))];
  struct iovec part = {&byte, 1};
  struct mmsghdr message = {
      .msg_hdr = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)}};
  MUST(recvmmsg(pair[1], &message, 1, 0, NULL) == 1);
}
