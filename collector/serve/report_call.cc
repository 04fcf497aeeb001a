#include "collector/serve/report_call.h"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <ctime>
#include <filesystem>
#include <system_error>

#include "collector/base/unique_fd.h"

namespace leakhunt::serve {
namespace {

constexpr size_t kMostBytes = 64 << 20;
constexpr int64_t kPatienceMs = 60'000;

int64_t SteadyMs() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return int64_t{now.tv_sec} * 1000 + now.tv_nsec / 1'000'000;
}

// Of the prefix this program is installed in (libexec/leakhunt), or of its build tree (collector/serve).
std::string FindReport() {
  std::error_code error;
  std::filesystem::path here = std::filesystem::read_symlink("/proc/self/exe", error).parent_path();
  for (const auto& candidate : {here.parent_path().parent_path() / "bin" / "leakhunt-report",
                                here.parent_path().parent_path() / "viewer" / "leakhunt-report"}) {
    if (std::filesystem::exists(candidate, error)) return candidate.native();
  }
  return "";
}

struct Pipe {
  UniqueFd read, write;
};

Result<Pipe> MakePipe() {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return ErrnoError("cannot make a pipe", errno);
  Pipe pipe;
  pipe.read.Reset(ends[0]);
  pipe.write.Reset(ends[1]);
  return pipe;
}

// Until both ends are closed; false when it takes too long or becomes too much.
bool ReadBoth(int out, int err, std::string* text, std::string* complaint) {
  int64_t deadline = SteadyMs() + kPatienceMs;
  pollfd fds[2] = {{out, POLLIN, 0}, {err, POLLIN, 0}};
  std::string* into[2] = {text, complaint};
  while (fds[0].fd >= 0 || fds[1].fd >= 0) {
    int64_t left = deadline - SteadyMs();
    if (left <= 0 || poll(fds, 2, static_cast<int>(left)) <= 0 || text->size() > kMostBytes) return false;
    for (int i = 0; i < 2; ++i) {
      if (fds[i].revents == 0) continue;
      char buffer[65536];
      ssize_t got = read(fds[i].fd, buffer, sizeof(buffer));
      if (got > 0) into[i]->append(buffer, static_cast<size_t>(got));
      if (got <= 0) fds[i].fd = -1;
    }
  }
  return true;
}

// The error stands after what was only worth saying.
std::string LastLine(std::string text) {
  text.erase(text.find_last_not_of('\n') + 1);
  const size_t before = text.rfind('\n');
  return before == std::string::npos ? text : text.substr(before + 1);
}

}  // namespace

Result<std::string> CallReport(const std::vector<std::string>& arguments) {
  static const std::string program = FindReport();
  if (program.empty()) return Error{"leakhunt-report is not beside leakhunt-collect"};
  auto out = MakePipe();
  auto err = MakePipe();
  if (!out || !err) return Error{"out of descriptors"};
  std::vector<char*> pointers = {const_cast<char*>(program.c_str())};
  for (const std::string& argument : arguments) pointers.push_back(const_cast<char*>(argument.c_str()));
  pointers.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, out->write.Get(), STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, err->write.Get(), STDERR_FILENO);
  pid_t pid = 0;
  int failed = posix_spawn(&pid, program.c_str(), &actions, nullptr, pointers.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (failed != 0) return ErrnoError("cannot run leakhunt-report", failed);
  out->write.Reset();
  err->write.Reset();
  std::string text, complaint;
  bool whole = ReadBoth(out->read.Get(), err->read.Get(), &text, &complaint);
  if (!whole) kill(pid, SIGKILL);
  int status = 0;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  if (!whole) return Error{"leakhunt-report took too long"};
  if (status != 0) {
    return Error{complaint.empty() ? "leakhunt-report failed" : LastLine(complaint),
                 WIFEXITED(status) ? WEXITSTATUS(status) : 1};
  }
  return text;
}

}  // namespace leakhunt::serve
