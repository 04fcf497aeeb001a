// Descriptors that arrive in messages: SCM_RIGHTS and SCM_PIDFD. Each receipt makes new ones, also with MSG_PEEK.
#include <sys/socket.h>
#include <time.h>

#include "preload/core/descriptor_kind.h"
#include "preload/hooks/handle_hook.h"
#include "preload/hooks/socket_kind.h"

using namespace leakhunt;
using hooks::Caller;
using hooks::CallReal;
using hooks::HandleType;

namespace {

LEAKHUNT_REAL hooks::Real<ssize_t(int, msghdr*, int)> real_recvmsg("recvmsg");
LEAKHUNT_REAL hooks::Real<int(int, mmsghdr*, unsigned, int, timespec*)> real_recvmmsg("recvmmsg");

__attribute__((constructor)) void Find() { hooks::FindAll(real_recvmsg, real_recvmmsg); }

constexpr int kScmPidfd = 4;

void ReceivedOne(const Caller& caller, int fd, bool pidfd) {
  core::DescriptorKind kind;
  if (pidfd) kind.type = HandleType::kPidfd;
  else core::AskDescriptorKind(fd, &kind);
  hooks::Opened(caller, fd, kind.type, kind.link, protocol::kHandleReceived);
}

}  // namespace

namespace leakhunt::hooks {

void Received(const Caller& caller, const msghdr* message) {
  if (message->msg_control == nullptr || message->msg_controllen < sizeof(cmsghdr)) return;
  const auto* start = static_cast<const uint8_t*>(message->msg_control);
  const uint64_t end = message->msg_controllen;
  for (uint64_t at = 0; at + sizeof(cmsghdr) <= end;) {
    const auto* part = reinterpret_cast<const cmsghdr*>(start + at);
    // The length's upper half is padding in musl's cmsghdr; the kernel's lengths fit the lower.
    uint64_t bytes = static_cast<uint32_t>(part->cmsg_len);
    if (bytes < sizeof(cmsghdr) || bytes > end - at) return;
    bool rights = part->cmsg_type == SCM_RIGHTS, pidfd = part->cmsg_type == kScmPidfd;
    if (part->cmsg_level == SOL_SOCKET && (rights || pidfd)) {
      const auto* fds = reinterpret_cast<const int*>(start + at + sizeof(cmsghdr));
      for (uint64_t i = 0; i < (bytes - sizeof(cmsghdr)) / sizeof(int); ++i) ReceivedOne(caller, fds[i], pidfd);
    }
    at += (bytes + 7) & ~uint64_t{7};
  }
}

}  // namespace leakhunt::hooks

LEAKHUNT_HOOK ssize_t recvmsg(int fd, msghdr* message, int flags) {
  ssize_t bytes = CallReal(real_recvmsg, fd, message, flags);
  if (bytes >= 0) hooks::Received(Caller(), message);
  return bytes;
}

LEAKHUNT_HOOK int recvmmsg(int fd, mmsghdr* messages, unsigned count, int flags, timespec* timeout) {
  int received = CallReal(real_recvmmsg, fd, messages, count, flags, timeout);
  for (int i = 0; i < received; ++i) hooks::Received(Caller(), &messages[i].msg_hdr);
  return received;
}
