#include "collector/alert/judge.h"

#include <fcntl.h>
#include <malloc.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
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
  Court(int requests, std::string hook) : requests_(requests), hook_(std::move(hook)) {}

  // Serves requests until the collector is gone.
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
    pollfd poll_fd{requests_, POLLIN, 0};
    if (poll(&poll_fd, 1, timeout_ms) <= 0) return true;
    char buffer[4096];
    ssize_t got = read(requests_, buffer, sizeof(buffer));
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

  int requests_;
  std::string hook_;
  std::string pending_;
  std::map<std::string, Case> cases_;
};

}  // namespace

bool Judge::Start() {
  if (++starts_ > kMostStarts) return false;
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return false;
  UniqueFd read_end(ends[0]);
  requests_.Reset(ends[1]);
  fcntl(requests_.Get(), F_SETFL, O_NONBLOCK);
  int requests = read_end.Get();
  if (companion_.Start("leakhunt-judge", requests, [&] { Court(requests, hook_).Sit(); })) return true;
  requests_.Reset();
  return false;
}

void Judge::Look(const std::filesystem::path& recording, uint32_t number) {
  if (number < kFirstLook || recording.native().find('\n') != std::string::npos) return;
  if (!requests_.Valid() && !Start()) return;
  std::string line = recording.native() + "\n";
  ssize_t written = write(requests_.Get(), line.data(), line.size());
  if (written < 0 && errno == EPIPE) requests_.Reset();  // it died: the next snapshot starts another
}

}  // namespace leakhunt::alert
