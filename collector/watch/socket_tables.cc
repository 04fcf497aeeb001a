#include "collector/watch/socket_tables.h"

#include <arpa/inet.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <linux/unix_diag.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <array>
#include <charconv>
#include <cstring>
#include <vector>

#include "collector/base/unique_fd.h"

namespace leakhunt::watch {
namespace {

constexpr size_t kMaxTableBytes = 32 << 20;

// Words of a table's line; spaces alone separate.
std::vector<std::string_view> Words(std::string_view line) {
  std::vector<std::string_view> words;
  size_t at = 0;
  while ((at = line.find_first_not_of(' ', at)) != std::string_view::npos) {
    size_t end = std::min(line.find(' ', at), line.size());
    words.push_back(line.substr(at, end - at));
    at = end;
  }
  return words;
}

template <typename Line>
void ForEachLineAfterTitle(std::string_view text, Line line) {
  bool title = true;
  while (!text.empty()) {
    size_t end = std::min(text.find('\n'), text.size());
    if (!title) line(text.substr(0, end));
    title = false;
    text.remove_prefix(std::min(end + 1, text.size()));
  }
}

uint64_t Number(std::string_view text, int base) {
  uint64_t number = 0;
  std::from_chars(text.data(), text.data() + text.size(), number, base);
  return number;
}

// "0100007F:0050" (words in host order) -> "127.0.0.1:80"; 32 hex digits -> "[::1]:80".
std::string Endpoint(std::string_view text) {
  size_t colon = text.find(':');
  if (colon == std::string_view::npos) return "?";
  uint32_t words[4] = {};
  size_t count = std::min<size_t>(colon / 8, 4);
  for (size_t i = 0; i < count; ++i) words[i] = static_cast<uint32_t>(Number(text.substr(i * 8, 8), 16));
  char address[INET6_ADDRSTRLEN] = "?";
  inet_ntop(count == 4 ? AF_INET6 : AF_INET, words, address, sizeof(address));
  std::string port = std::to_string(Number(text.substr(colon + 1), 16));
  return count == 4 ? "[" + std::string(address) + "]:" + port : std::string(address) + ":" + port;
}

std::string_view TcpState(uint64_t state) {
  static constexpr std::array<std::string_view, 13> kNames = {
      "",      "ESTABLISHED", "SYN_SENT", "SYN_RECV", "FIN_WAIT1", "FIN_WAIT2",   "TIME_WAIT",
      "CLOSE", "CLOSE_WAIT",  "LAST_ACK", "LISTEN",   "CLOSING",   "NEW_SYN_RECV"};
  return state < kNames.size() ? kNames[state] : "";
}

bool HasPeer(std::string_view endpoint) {
  size_t colon = endpoint.find(':');
  return colon != std::string_view::npos && Number(endpoint.substr(colon + 1), 16) != 0;
}

}  // namespace

void ParseInternetTable(std::string_view text, std::string_view protocol, SocketTables* tables) {
  bool tcp = protocol.starts_with("tcp");
  ForEachLineAfterTitle(text, [&](std::string_view line) {
    std::vector<std::string_view> words = Words(line);
    if (words.size() < 10) return;
    uint64_t inode = Number(words[9], 10);
    if (inode == 0) return;
    std::string label = std::string(tcp ? "tcp " : "udp ") + Endpoint(words[1]);
    if (HasPeer(words[2])) label += " -> " + Endpoint(words[2]);
    if (tcp) label.append(" ").append(TcpState(Number(words[3], 16)));
    (*tables)[inode] = {tcp ? snapshot::HandleType::kTcp : snapshot::HandleType::kUdp, std::move(label)};
  });
}

void ParseUnixTable(std::string_view text, SocketTables* tables) {
  constexpr uint64_t kAcceptsConnections = 1 << 16;
  ForEachLineAfterTitle(text, [&](std::string_view line) {
    std::vector<std::string_view> words = Words(line);
    if (words.size() < 7) return;
    std::string label = "unix";
    if (words.size() > 7) label.append(" ").append(words[7]);
    static constexpr std::string_view kTypes[] = {"", " STREAM", " DGRAM", "", "", " SEQPACKET"};
    uint64_t type = Number(words[4], 16);
    if (type < std::size(kTypes)) label += kTypes[type];
    if ((Number(words[3], 16) & kAcceptsConnections) != 0) label += " LISTEN";
    if (words[5] == "03") label += " CONNECTED";
    (*tables)[Number(words[6], 10)] = {snapshot::HandleType::kUnix, std::move(label)};
  });
}

void ParseNetlinkTable(std::string_view text, SocketTables* tables) {
  ForEachLineAfterTitle(text, [&](std::string_view line) {
    std::vector<std::string_view> words = Words(line);
    if (words.size() < 10) return;
    (*tables)[Number(words[9], 10)] = {snapshot::HandleType::kNetlink, "netlink protocol " + std::string(words[1])};
  });
}

SocketTables ReadSocketTables(const ProcDirectory& process) {
  SocketTables tables;
  for (const char* protocol : {"tcp", "tcp6", "udp", "udp6"}) {
    auto text = process.Read((std::string("net/") + protocol).c_str(), kMaxTableBytes);
    if (text) ParseInternetTable(*text, protocol, &tables);
  }
  if (auto text = process.Read("net/unix", kMaxTableBytes)) ParseUnixTable(*text, &tables);
  if (auto text = process.Read("net/netlink", kMaxTableBytes)) ParseNetlinkTable(*text, &tables);
  return tables;
}

uint64_t PeerSocketInode(int unix_socket) {
  struct stat status {};
  if (fstat(unix_socket, &status) != 0) return 0;
  UniqueFd netlink(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_SOCK_DIAG));
  if (!netlink.Valid()) return 0;
  struct {
    nlmsghdr header;
    unix_diag_req body;
  } request{};
  request.header.nlmsg_len = sizeof(request);
  request.header.nlmsg_type = SOCK_DIAG_BY_FAMILY;
  request.header.nlmsg_flags = NLM_F_REQUEST;
  request.body.sdiag_family = AF_UNIX;
  request.body.udiag_states = ~0u;
  request.body.udiag_ino = static_cast<uint32_t>(status.st_ino);
  request.body.udiag_show = UDIAG_SHOW_PEER;
  request.body.udiag_cookie[0] = request.body.udiag_cookie[1] = ~0u;
  if (send(netlink.Get(), &request, sizeof(request), 0) < 0) return 0;
  alignas(nlmsghdr) char reply[1024];
  ssize_t length = recv(netlink.Get(), reply, sizeof(reply), 0);
  const auto* header = reinterpret_cast<const nlmsghdr*>(reply);
  constexpr size_t kFixed = NLMSG_HDRLEN + NLMSG_ALIGN(sizeof(unix_diag_msg));
  if (length < static_cast<ssize_t>(kFixed) || header->nlmsg_type != SOCK_DIAG_BY_FAMILY) return 0;
  size_t at = kFixed;
  while (at + sizeof(nlattr) + sizeof(uint32_t) <= static_cast<size_t>(length)) {
    nlattr attribute;
    std::memcpy(&attribute, reply + at, sizeof(attribute));
    if (attribute.nla_type == UNIX_DIAG_PEER) {
      uint32_t inode = 0;
      std::memcpy(&inode, reply + at + sizeof(attribute), sizeof(inode));
      return inode;
    }
    if (attribute.nla_len < sizeof(attribute)) return 0;
    at += NLMSG_ALIGN(attribute.nla_len);
  }
  return 0;
}

}  // namespace leakhunt::watch
