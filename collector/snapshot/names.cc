// The words of the JSON for the model's enums, and sums of weights.
#include <algorithm>

#include "collector/snapshot/model.h"

namespace leakhunt::snapshot {

const char* HandleTypeName(HandleType type) {
  static constexpr const char* kNames[kHandleTypes] = {
      "other",   "file",     "directory", "tcp",     "udp",      "unix",   "netlink", "socket",
      "pipe",    "epoll",    "eventfd",   "timerfd", "signalfd", "inotify", "fanotify", "memfd",
      "pidfd",   "userfaultfd", "io_uring", "perf",   "pty",      "device"};
  auto index = static_cast<int>(type);
  return index < kHandleTypes ? kNames[index] : "other";
}

const char* SiteKindName(SiteKind kind) {
  switch (kind) {
    case SiteKind::kMmap: return "mmap";
    case SiteKind::kThread: return "thread";
    case SiteKind::kHeap: break;
  }
  return "heap";
}

const char* EndName(End end) {
  switch (end) {
    case End::kExit: return "exit";
    case End::kSignal: return "signal";
    case End::kOom: return "oom";
    case End::kLost: return "lost";
    case End::kRunning: break;
  }
  return "running";
}

Weighted& Weighted::operator+=(const Weighted& other) {
  samples += other.samples;
  value += other.value;
  variance += other.variance;
  largest_weight = std::max(largest_weight, other.largest_weight);
  moved_down += other.moved_down;
  moved_up += other.moved_up;
  return *this;
}

}  // namespace leakhunt::snapshot
