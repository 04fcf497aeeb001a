// One process's directory in /proc, held open.
//
// The held descriptor names the process, not its number: once the process is gone every read fails, even when the
// pid has been given to another. Contents are foreign text: bounded reads, no assumption about their form.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "collector/base/result.h"
#include "collector/base/unique_fd.h"

namespace leakhunt::watch {

class ProcDirectory {
 public:
  // A directory that is not there answers nothing; it is not an error.
  ProcDirectory() = default;
  static Result<ProcDirectory> Open(pid_t pid);

  bool Valid() const { return fd_.Valid(); }
  int Fd() const { return fd_.Get(); }

  // Contents of a file below the directory ("status", "net/tcp"), at most `max_bytes`; nothing when unreadable.
  std::optional<std::string> Read(const char* name, size_t max_bytes = 1 << 20) const;

  // Target of a link ("exe", "cwd", "fd/3"); nothing when unreadable.
  std::optional<std::string> Link(const char* name) const;

  // A process whose first thread has ended alone (pthread_exit in main) shows no memory and no descriptors in its own
  // directory, but in those of the other threads: that of one which lives; nothing where it is not so.
  std::optional<ProcDirectory> OfLivingThread() const;

  // Numeric entry names ("fd", "task"), ascending; nothing when unreadable.
  std::optional<std::vector<int>> Numbers(const char* name) const;

 private:
  explicit ProcDirectory(UniqueFd fd) : fd_(std::move(fd)) {}
  UniqueFd fd_;
};

// Contents of any small file, at most `max_bytes`; nothing when unreadable.
std::optional<std::string> ReadFile(const std::string& path, size_t max_bytes = 1 << 20);

// The number after `key` at the start of a line ("VmRSS:" -> kB figure as it stands); nothing when absent.
std::optional<uint64_t> NumberAfter(std::string_view text, std::string_view key);

// Fields of /proc/PID/stat that matter here.
struct ProcessStat {
  char state = '?';
  pid_t parent_pid = 0;
  uint64_t start_ticks = 0;  // since boot
  double cpu_seconds = 0;    // user + system, own threads
  int exit_code = 0;         // wait status; meaningful in state Z, 0 when the kernel hides it
};
std::optional<ProcessStat> ParseProcessStat(std::string_view text);

// Unix milliseconds of a moment given in clock ticks since boot, by the clocks as they are now; 0 for 0.
int64_t StartMs(uint64_t ticks_since_boot);

}  // namespace leakhunt::watch
