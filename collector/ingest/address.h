// Where the collector listens, and the lock that makes it the only one there.
//
// The socket's directory decides who may impersonate a collector, so it is checked before it is used: ours (or
// root's), no symbolic link, not writable by others. The lock file stays beside the socket; only its holder may
// replace a stale socket.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <optional>
#include <string>

#include "collector/base/result.h"
#include "collector/base/unique_fd.h"

namespace leakhunt::ingest {

struct Address {
  std::filesystem::path path;
  bool is_default = false;       // then its directory may be created
  mode_t directory_mode = 0700;  // when created
  mode_t socket_mode = 0600;
};

// By option, $LEAKHUNT_SOCKET, or the contract's default for this user. `socket_option` empty = not given.
Address ChooseAddress(const std::string& socket_option);

// Creates the directory of a default address when missing, and checks it.
Status PrepareDirectory(const Address& address);

// The held lock beside the socket, or nothing when another collector holds it.
Result<std::optional<UniqueFd>> TakeLock(const Address& address);

// A listening SOCK_SEQPACKET socket at the address, a stale socket replaced. Call only with the lock held.
Result<UniqueFd> Listen(const Address& address);

// A connection to the collector that listens there.
Result<UniqueFd> ConnectTo(const Address& address);

// A fresh directory of our own with a socket address inside, for one command and its children. Remove both when done.
// `last_resort`: where it is made when none of the usual places can be written (a read-only container).
Result<Address> MakePrivateAddress(const std::filesystem::path& last_resort);

}  // namespace leakhunt::ingest
