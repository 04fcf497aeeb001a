#include "collector/alert/judge.h"

#include <fcntl.h>
#include <malloc.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <ctime>
#include <map>

#include "collector/alert/evaluation.h"
#include "collector/notice.h"

namespace leakhunt::alert {
namespace {

constexpr int kMostStarts = 5;  // a judge that keeps dying is not started for ever
constexpr int kPausePerCost = 99;
constexpr size_t kMostRecordings = 1024;

int64_t SteadyMs() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return int64_t{now.tv_sec} * 1000 + now.tv_nsec / 1'000'000;
}

void RunHook(const std::string& hook, const std::string& json) {
  FILE* pipe = popen(hook.c_str(), "we");
  if (pipe == nullptr) return Notice("cannot run the alert hook: " + ErrnoError("popen", errno).message);
  fwrite(json.data(), 1, json.size(), pipe);
  int status = pclose(pipe);
  if (status != 0) NoticeOnce("hook", "the alert hook failed with wait status " + std::to_string(status));
}

// One recording as the judge knows it.
struct Case {
  verdict::AlertState state;
  int64_t not_before_ms = 0;
  bool asked = false;
};

class Court {
 public:
  explicit Court(std::string hook) : hook_(std::move(hook)) {}

  // Serves requests from descriptor 0 until the collector is gone.
  void Sit() {
    while (Collect(NextPauseMs())) {
      for (auto& [recording, matter] : cases_) {
        if (matter.asked && SteadyMs() >= matter.not_before_ms) Hear(recording, &matter);
      }
    }
  }

 private:
  int NextPauseMs() const {
    int64_t pause = -1;
    for (const auto& [recording, matter] : cases_) {
      if (!matter.asked) continue;
      int64_t wait = std::max<int64_t>(matter.not_before_ms - SteadyMs(), 0);
      pause = pause < 0 ? wait : std::min(pause, wait);
    }
    return static_cast<int>(std::min<int64_t>(pause, 60'000));
  }

  // Waits for requests, one directory a line; false when the collector has closed the pipe.
  bool Collect(int timeout_ms) {
    pollfd poll_fd{STDIN_FILENO, POLLIN, 0};
    if (poll(&poll_fd, 1, timeout_ms) <= 0) return true;
    char buffer[4096];
    ssize_t got = read(STDIN_FILENO, buffer, sizeof(buffer));
    if (got == 0) return false;
    if (got > 0) pending_.append(buffer, static_cast<size_t>(got));
    for (size_t end; (end = pending_.find('\n')) != std::string::npos; pending_.erase(0, end + 1)) {
      if (cases_.size() >= kMostRecordings) cases_.clear();
      cases_[pending_.substr(0, end)].asked = true;
    }
    return true;
  }

  void Hear(const std::string& recording, Case* matter) {
    matter->asked = false;
    int64_t began = SteadyMs();
    auto input = Evaluate(recording);
    if (input) {
      if (auto alert = matter->state.Update(*input)) Announce(*alert);
    } else {
      Detail("no verdict on " + recording + ": " + input.error().message);
    }
    matter->not_before_ms = SteadyMs() + kPausePerCost * (SteadyMs() - began);
    malloc_trim(0);
  }

  void Announce(const verdict::Alert& alert) {
    Notice(verdict::AlertLine(alert));
    if (!hook_.empty()) RunHook(hook_, verdict::AlertJson(alert));
  }

  std::string hook_;
  std::string pending_;
  std::map<std::string, Case> cases_;
};

// In the child: nothing of the collector's but stderr and the pipe.
[[noreturn]] void BecomeJudge(int requests, const std::string& hook) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  prctl(PR_SET_NAME, "leakhunt-judge");
  dup2(requests, STDIN_FILENO);
  dup2(STDERR_FILENO, STDOUT_FILENO);  // a hook that prints must not print into the command's output
  syscall(SYS_close_range, 3u, ~0u, 0u);
  signal(SIGPIPE, SIG_IGN);
  signal(SIGINT, SIG_IGN);  // the terminal's ^C is for the command
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  Court(hook).Sit();
  _exit(0);
}

}  // namespace

bool Judge::Start() {
  if (++starts_ > kMostStarts) return false;
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return false;
  UniqueFd read_end(ends[0]);
  requests_.Reset(ends[1]);
  fcntl(requests_.Get(), F_SETFL, O_NONBLOCK);
  pid_t pid = fork();
  if (pid == 0) BecomeJudge(read_end.Get(), hook_);
  if (pid < 0) requests_.Reset();
  if (pid > 0) pidfd_.Reset(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
  return pid > 0;
}

void Judge::Stop() {
  requests_.Reset();
  if (!pidfd_.Valid()) return;
  syscall(SYS_pidfd_send_signal, pidfd_.Get(), SIGKILL, nullptr, 0);
  siginfo_t info;
  waitid(P_PIDFD, static_cast<id_t>(pidfd_.Get()), &info, WEXITED);
  pidfd_.Reset();
}

void Judge::Look(const std::filesystem::path& recording, uint32_t number) {
  if (number < kFirstLook || recording.native().find('\n') != std::string::npos) return;
  if (!requests_.Valid() && !Start()) return;
  std::string line = recording.native() + "\n";
  ssize_t written = write(requests_.Get(), line.data(), line.size());
  if (written < 0 && errno == EPIPE) Stop();  // it died: the next snapshot starts another
}

}  // namespace leakhunt::alert
