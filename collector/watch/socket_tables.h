// What the kernel's socket tables say of a socket, by inode: protocol, addresses, state.
//
// Parses /proc/PID/net/{tcp,tcp6,udp,udp6,unix,netlink}, which list the sockets of that process's network namespace.
// Read once a sweep, only when the process has sockets. A socket that is neither bound nor connected is in no table.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>

#include "collector/snapshot/model.h"
#include "collector/watch/proc_directory.h"

namespace leakhunt::watch {

struct SocketEntry {
  snapshot::HandleType type = snapshot::HandleType::kSocket;
  std::string label;  // "tcp 10.0.0.1:80 -> 10.0.0.2:999 ESTABLISHED", "unix /run/x.sock LISTEN"
};

using SocketTables = std::unordered_map<uint64_t, SocketEntry>;

SocketTables ReadSocketTables(const ProcDirectory& process);

// One table's text into `tables`. `protocol`: "tcp", "tcp6", "udp", "udp6".
void ParseInternetTable(std::string_view text, std::string_view protocol, SocketTables* tables);
void ParseUnixTable(std::string_view text, SocketTables* tables);
void ParseNetlinkTable(std::string_view text, SocketTables* tables);

// The inode of the socket connected to `unix_socket` (one of ours), by NETLINK_SOCK_DIAG; 0 when unknown. It is the
// guest's own descriptor as /proc shows it.
uint64_t PeerSocketInode(int unix_socket);

}  // namespace leakhunt::watch
