// One peer of the collector's socket: who it is, and its messages, checked.
//
// The peer is hostile: a message of another size, magic or kind, or with descriptors it should not carry, is an error
// that ends the connection. Never blocks.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>

#include "collector/base/result.h"
#include "collector/base/unique_fd.h"
#include "preload/protocol/handshake.h"

namespace leakhunt::ingest {

struct Peer {
  pid_t pid = 0;  // as our pid namespace sees it; 0 = not visible from here
  uid_t uid = 0;
  UniqueFd pidfd;  // invalid on kernels before 5.3, or when the process is gone
};

inline constexpr char kClosed[] = "closed";

struct Received {
  protocol::Message message{};  // text NUL-terminated
  UniqueFd descriptor;          // what came with it; at most one
};

class Connection {
 public:
  // Takes a connected SOCK_SEQPACKET socket; refuses other descriptors and peers without credentials.
  static Result<Connection> Adopt(UniqueFd socket);

  int Fd() const { return socket_.Get(); }
  const Peer& GetPeer() const { return peer_; }
  UniqueFd TakePidfd() { return std::move(peer_.pidfd); }

  // The next message; nothing when none waits. An error when the peer closed (kClosed) or misbehaves.
  Result<std::optional<Received>> Receive();

  // Drops the message when the peer does not read.
  void Send(const protocol::Message& message);
  void Refuse(const std::string& why);

  // Sends a message with a descriptor (kAdopt); waits for the peer if it must.
  Status SendDescriptor(const protocol::Message& message, int descriptor);

 private:
  UniqueFd socket_;
  Peer peer_;
};

protocol::Message MakeMessage(protocol::MessageKind kind);

}  // namespace leakhunt::ingest
