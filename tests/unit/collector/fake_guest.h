// A guest for tests: a real process that hands over pages and does what it is told, without the preload library.
#pragma once

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <cstring>
#include <string>

#include "collector/base/unique_fd.h"
#include "collector/ingest/connection.h"
#include "page_builder.h"
#include "preload/protocol/handshake.h"

namespace leakhunt::testing {

// A fresh directory, removed with its contents at the end.
class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    if (mkdtemp(path_.data()) == nullptr) std::abort();
  }
  ~TemporaryDirectory() { (void)!system(("rm -rf " + path_).c_str()); }
  const std::string& Path() const { return path_; }

 private:
  std::string path_ = "/tmp/leakhunt-test-XXXXXX";
};

// Sends `message` with `descriptors` over a packet socket.
inline bool SendWith(int socket, const void* data, size_t bytes, const std::vector<int>& descriptors) {
  iovec part{const_cast<void*>(data), bytes};
  alignas(cmsghdr) char control[CMSG_SPACE(16 * sizeof(int))] = {};
  msghdr header{};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  if (!descriptors.empty()) {
    header.msg_control = control;
    header.msg_controllen = CMSG_SPACE(descriptors.size() * sizeof(int));
    cmsghdr* rights = CMSG_FIRSTHDR(&header);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(descriptors.size() * sizeof(int));
    std::memcpy(CMSG_DATA(rights), descriptors.data(), descriptors.size() * sizeof(int));
  }
  return sendmsg(socket, &header, MSG_NOSIGNAL) == static_cast<ssize_t>(bytes);
}

inline UniqueFd ConnectSocket(const std::string& path) {
  UniqueFd socket_fd(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
  sockaddr_un name{};
  name.sun_family = AF_UNIX;
  std::strcpy(name.sun_path, path.c_str());
  if (connect(socket_fd.Get(), reinterpret_cast<sockaddr*>(&name), sizeof(name)) != 0) return UniqueFd();
  return socket_fd;
}

// The orders a FakeGuest takes, one byte each.
enum class Order : char { kHello = 'h', kSnapshot = 's', kDisconnect = 'd', kKill = 'k', kExit = 'e', kAbort = 'a' };

class FakeGuest {
 public:
  // Forks a process that will use the listening socket at `path`. `memfd` is shared with it and may be written here.
  FakeGuest(const std::string& path, int memfd) : memfd_(memfd) {
    int orders[2], answers[2];
    if (pipe(orders) != 0 || pipe(answers) != 0) std::abort();
    pid_ = fork();
    if (pid_ == 0) Serve(path, orders[0], answers[1]);
    orders_.Reset(orders[1]);
    answers_.Reset(answers[0]);
    close(orders[0]);
    close(answers[1]);
  }
  ~FakeGuest() {
    if (pid_ > 0) kill(pid_, SIGKILL), waitpid(pid_, nullptr, 0);
  }

  // Does not wait: the collector under test runs in the caller's thread.
  void Tell(Order order) { (void)!write(orders_.Get(), &order, 1); }

  // 'w' welcomed, 'r' refused, '?' no answer yet.
  char Answer() {
    char answer = '?';
    pollfd poll_fd{answers_.Get(), POLLIN, 0};
    if (poll(&poll_fd, 1, 0) == 1) (void)!read(answers_.Get(), &answer, 1);
    return answer;
  }

  pid_t Pid() const { return pid_; }

  // Reaps; the wait status.
  int Reap() {
    int status = 0;
    waitpid(pid_, &status, 0);
    pid_ = -1;
    return status;
  }

 private:
  [[noreturn]] void Serve(const std::string& path, int orders, int answers) {
    UniqueFd connection;
    char order;
    while (read(orders, &order, 1) == 1) {
      switch (static_cast<Order>(order)) {
        case Order::kHello:
          Hello(path, &connection, answers);
          break;
        case Order::kSnapshot:
          Send(connection.Get(), protocol::MessageKind::kSnapshot, "after the load");
          break;
        case Order::kDisconnect:
          connection.Reset();
          break;
        case Order::kKill:
          kill(getpid(), SIGKILL);
          break;
        case Order::kExit:
          _exit(7);
        case Order::kAbort:
          signal(SIGABRT, SIG_DFL), abort();
      }
    }
    _exit(0);
  }

  void Hello(const std::string& path, UniqueFd* connection, int answers) {
    *connection = ConnectSocket(path);
    protocol::Message hello = ingest::MakeMessage(protocol::MessageKind::kHello);
    SendWith(connection->Get(), &hello, sizeof(hello), {memfd_});
    protocol::Message reply{};
    (void)!recv(connection->Get(), &reply, sizeof(reply), 0);
    bool welcome = reply.kind == static_cast<uint16_t>(protocol::MessageKind::kWelcome);
    (void)!write(answers, welcome ? "w" : "r", 1);
  }

  static void Send(int connection, protocol::MessageKind kind, const char* text) {
    protocol::Message message = ingest::MakeMessage(kind);
    std::strncpy(message.text, text, sizeof(message.text) - 1);
    SendWith(connection, &message, sizeof(message), {});
  }

  int memfd_;
  pid_t pid_ = -1;
  UniqueFd orders_, answers_;
};

}  // namespace leakhunt::testing
