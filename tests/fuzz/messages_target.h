// What the fuzzer of the collector's socket and the replay of its corpus run: a peer that sends any packets.
//
// An input is a list of packets: how many bytes (two), how many descriptors go with them (one byte, 0 to 3), then the
// bytes; what is missing at the end is cut off.
#pragma once

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "collector/ingest/connection.h"

namespace leakhunt::ingest {

inline void SendPacket(int socket, const uint8_t* data, size_t size, int descriptors) {
  std::vector<uint8_t> copy(data, data + size);
  iovec part{copy.data(), copy.size()};
  alignas(cmsghdr) char control[CMSG_SPACE(3 * sizeof(int))] = {};
  msghdr header{};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  if (descriptors > 0) {
    header.msg_control = control;
    header.msg_controllen = CMSG_SPACE(static_cast<size_t>(descriptors) * sizeof(int));
    cmsghdr* rights = CMSG_FIRSTHDR(&header);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(static_cast<size_t>(descriptors) * sizeof(int));
    for (int i = 0; i < descriptors; ++i) std::memcpy(CMSG_DATA(rights) + i * static_cast<int>(sizeof(int)), &socket, sizeof(int));
  }
  (void)sendmsg(socket, &header, MSG_NOSIGNAL | MSG_DONTWAIT);
}

// What is wrong with how the packets were received; empty when nothing is. The connection must end at the first packet
// that is none of the protocol's, and no descriptor may be left over.
inline std::string ExerciseMessages(const uint8_t* data, size_t size) {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) != 0) return "";
  UniqueFd peer(ends[0]);
  auto connection = Connection::Adopt(UniqueFd(ends[1]));
  if (!connection) return "a socket pair is refused";
  const int before = open("/dev/null", O_RDONLY | O_CLOEXEC);
  close(before);
  for (size_t at = 0; at + 3 <= size;) {
    const size_t length = std::min<size_t>(data[at] | data[at + 1] << 8, size - at - 3);
    const int descriptors = data[at + 2] % 4;
    SendPacket(peer.Get(), data + at + 3, length, descriptors);
    at += 3 + length;
    auto received = connection->Receive();
    if (!received) {
      if (received.error().message.empty()) return "ended without a reason";
      break;
    }
    if (!*received) continue;
    if (length != sizeof(protocol::Message)) return "a packet of another size is taken";
    const protocol::Message& message = (*received)->message;
    if (message.magic != protocol::kMessageMagic) return "a packet of another magic is taken";
    if (strnlen(message.text, sizeof(message.text)) == sizeof(message.text)) return "a text without an end";
    connection->Send(message);
  }
  connection->Refuse("enough");
  const int after = open("/dev/null", O_RDONLY | O_CLOEXEC);
  close(after);
  return after == before ? "" : "descriptors are left over";
}

}  // namespace leakhunt::ingest
