#include "collector/watch/proc_directory.h"

#include <dirent.h>
#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <ctime>
#include <memory>

namespace leakhunt::watch {
namespace {

std::optional<std::string> ReadAll(int fd, size_t max_bytes) {
  std::string text;
  char buffer[16384];
  while (text.size() < max_bytes) {
    ssize_t got = read(fd, buffer, std::min(sizeof(buffer), max_bytes - text.size()));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return std::nullopt;
    if (got == 0) break;
    text.append(buffer, static_cast<size_t>(got));
  }
  return text;
}

template <typename Number>
Number ToNumber(std::string_view text) {
  Number number = 0;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

}  // namespace

Result<ProcDirectory> ProcDirectory::Open(pid_t pid) {
  std::string path = "/proc/" + std::to_string(pid);
  UniqueFd fd(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd.Valid()) return ErrnoError("cannot open " + path, errno);
  return ProcDirectory(std::move(fd));
}

std::optional<std::string> ProcDirectory::Read(const char* name, size_t max_bytes) const {
  if (!Valid()) return std::nullopt;
  UniqueFd fd(openat(fd_.Get(), name, O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!fd.Valid()) return std::nullopt;
  return ReadAll(fd.Get(), max_bytes);
}

std::optional<std::string> ProcDirectory::Link(const char* name) const {
  char target[4096];
  ssize_t length = Valid() ? readlinkat(fd_.Get(), name, target, sizeof(target)) : -1;
  if (length < 0) return std::nullopt;
  return std::string(target, static_cast<size_t>(length));
}

std::optional<std::vector<int>> ProcDirectory::Numbers(const char* name) const {
  int fd = Valid() ? openat(fd_.Get(), name, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
  if (fd < 0) return std::nullopt;
  std::unique_ptr<DIR, int (*)(DIR*)> directory(fdopendir(fd), closedir);
  if (directory == nullptr) return close(fd), std::nullopt;
  std::vector<int> numbers;
  while (const dirent* entry = readdir(directory.get())) {
    if (entry->d_name[0] >= '0' && entry->d_name[0] <= '9') numbers.push_back(ToNumber<int>(entry->d_name));
  }
  std::sort(numbers.begin(), numbers.end());
  return numbers;
}

std::optional<ProcDirectory> ProcDirectory::OfLivingThread() const {
  const auto state = [](const ProcDirectory& task) {
    const auto stat = ParseProcessStat(task.Read("stat").value_or(""));
    return stat ? stat->state : '?';
  };
  if (state(*this) != 'Z') return std::nullopt;
  for (int tid : Numbers("task").value_or(std::vector<int>{})) {
    ProcDirectory task(UniqueFd(openat(fd_.Get(), ("task/" + std::to_string(tid)).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)));
    if (const char its = state(task); its != 'Z' && its != 'X' && its != '?') return task;
  }
  return std::nullopt;
}

std::optional<std::string> ReadFile(const std::string& path, size_t max_bytes) {
  UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!fd.Valid()) return std::nullopt;
  return ReadAll(fd.Get(), max_bytes);
}

std::optional<uint64_t> NumberAfter(std::string_view text, std::string_view key) {
  for (size_t at = text.find(key); at != std::string_view::npos; at = text.find(key, at + 1)) {
    if (at != 0 && text[at - 1] != '\n') continue;
    size_t digit = text.find_first_not_of(" \t:", at + key.size());
    if (digit == std::string_view::npos || text[digit] < '0' || text[digit] > '9') return std::nullopt;
    return ToNumber<uint64_t>(text.substr(digit));
  }
  return std::nullopt;
}

std::optional<ProcessStat> ParseProcessStat(std::string_view text) {
  // The name in parentheses may hold anything, parentheses and spaces included: count fields from the last one.
  size_t close = text.rfind(')');
  if (close == std::string_view::npos) return std::nullopt;
  std::vector<std::string_view> fields;  // fields[0] is field 3, the state
  size_t at = close + 1;
  while ((at = text.find_first_not_of(" \n", at)) != std::string_view::npos) {
    size_t end = std::min(text.find_first_of(" \n", at), text.size());
    fields.push_back(text.substr(at, end - at));
    at = end;
  }
  constexpr size_t kFirst = 3;
  if (fields.size() < 22 - kFirst + 1) return std::nullopt;
  static const double ticks_per_second = static_cast<double>(sysconf(_SC_CLK_TCK));
  ProcessStat stat;
  stat.state = fields[0].empty() ? '?' : fields[0][0];
  stat.parent_pid = ToNumber<pid_t>(fields[4 - kFirst]);
  stat.cpu_seconds =
      static_cast<double>(ToNumber<uint64_t>(fields[14 - kFirst]) + ToNumber<uint64_t>(fields[15 - kFirst])) /
      ticks_per_second;
  stat.start_ticks = ToNumber<uint64_t>(fields[22 - kFirst]);
  if (fields.size() > 52 - kFirst) stat.exit_code = ToNumber<int>(fields[52 - kFirst]);
  return stat;
}

int64_t StartMs(uint64_t ticks_since_boot) {
  if (ticks_since_boot == 0) return 0;
  const auto milliseconds = [](clockid_t clock) {
    timespec now{};
    clock_gettime(clock, &now);
    return int64_t{now.tv_sec} * 1000 + now.tv_nsec / 1'000'000;
  };
  const auto ticks_a_second = static_cast<uint64_t>(sysconf(_SC_CLK_TCK));
  const auto since_boot_ms = static_cast<int64_t>(ticks_since_boot * 1000 / ticks_a_second);
  return milliseconds(CLOCK_REALTIME) - milliseconds(CLOCK_BOOTTIME) + since_boot_ms;
}

}  // namespace leakhunt::watch
