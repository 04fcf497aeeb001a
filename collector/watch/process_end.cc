#include "collector/watch/process_end.h"

#include <poll.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>

namespace leakhunt::watch {
namespace {

// struct pidfd_info and its ioctl as of Linux 6.15; Debian 12's headers are older.
struct PidfdInfo {
  uint64_t mask;
  uint64_t cgroup_id;
  uint32_t pid, tgid, ppid;
  uint32_t ruid, rgid, euid, egid, suid, sgid, fsuid, fsgid;
  int32_t exit_code;
};
static_assert(sizeof(PidfdInfo) == 64);
constexpr unsigned long kPidfdGetInfo = _IOWR(0xFF, 11, PidfdInfo);
constexpr uint64_t kPidfdInfoExit = 1u << 3;

// A status hidden from us reads as 0. It is shown to those who may trace the process, and they alone get ENOENT, not
// EACCES, for a zombie's missing executable.
bool StatusIsShown(const ProcDirectory& process) {
  char target[8];
  return readlinkat(process.Fd(), "exe", target, sizeof(target)) < 0 && errno == ENOENT;
}

}  // namespace

UniqueFd OpenPidfd(pid_t pid) { return UniqueFd(static_cast<int>(syscall(SYS_pidfd_open, pid, 0))); }

bool HasEnded(int pidfd) {
  pollfd poll_fd{pidfd, POLLIN, 0};
  return pidfd >= 0 && poll(&poll_fd, 1, 0) == 1;
}

std::optional<int> ExitWaitStatus(int pidfd, const ProcDirectory& process) {
  auto stat = ParseProcessStat(process.Read("stat").value_or(""));
  if (stat && stat->state == 'Z' && StatusIsShown(process)) return stat->exit_code;
  PidfdInfo info{};
  info.mask = kPidfdInfoExit;
  if (pidfd >= 0 && ioctl(pidfd, kPidfdGetInfo, &info) == 0 && (info.mask & kPidfdInfoExit) != 0) return info.exit_code;
  return std::nullopt;
}

}  // namespace leakhunt::watch
