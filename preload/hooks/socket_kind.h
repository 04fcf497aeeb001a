// What the arguments of a socket call say about the handle, for the libc functions and the raw system calls alike.
#pragma once

#include <sys/socket.h>

#include "preload/hooks/handle_hook.h"
#include "preload/protocol/layout.h"

namespace leakhunt::hooks {

protocol::HandleType SocketKind(int domain, int type);

// After accept: records `fd` (ignored when negative) with the listener's type and the peer, when it was asked for.
int Accepted(const Caller& caller, int listener, int fd, const sockaddr* peer, const socklen_t* bytes);

// After recvmsg: records what arrived in `message`'s control data.
void Received(const Caller& caller, const msghdr* message);

}  // namespace leakhunt::hooks
