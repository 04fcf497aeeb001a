#include "collector/supervise/run_command.h"

#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <optional>
#include <string>

#include "collector/ingest/service.h"
#include "collector/notice.h"
#include "collector/record/recording_directory.h"
#include "collector/supervise/descendants.h"
#include "collector/supervise/forwarding.h"
#include "collector/supervise/launch.h"
#include "collector/supervise/search_path.h"

namespace leakhunt::supervise {
namespace {

using ingest::Address;
using ingest::Mode;
using ingest::Service;

constexpr int64_t kStragglerPatienceMs = 200, kLookPauseMs = 100;
constexpr int64_t kTerminatePatienceMs = 10'000;  // after --duration: SIGTERM, then SIGKILL

// The socket of one run, gone when the run is.
class RunSocket {
 public:
  ~RunSocket() {
    if (!address_) return;
    unlink(address_->path.c_str());
    if (private_) rmdir(address_->path.parent_path().c_str());
  }

  Status Open(const Options& options, Service* service) {
    private_ = options.socket.empty();
    auto address = private_ ? ingest::MakePrivateAddress(record::AbsoluteOutput(options.output))
                            : Result<Address>(ingest::ChooseAddress(options.socket));
    if (!address) return address.error();
    if (!private_) {
      if (Status ready = ingest::PrepareDirectory(*address); !ready) return ready;
      auto lock = ingest::TakeLock(*address);
      if (!lock) return lock.error();
      if (!*lock) return Error{"another collector already serves " + address->path.native()};
      lock_ = std::move(**lock);
    }
    address_ = *address;
    auto listening = ingest::Listen(*address_);
    if (!listening) return listening.error();
    return service->Door().Open(std::move(*listening));
  }

  const std::filesystem::path& Path() const { return address_->path; }

 private:
  std::optional<Address> address_;
  bool private_ = true;
  UniqueFd lock_;
};

int ExitStatusOf(int wait_status) {
  return WIFSIGNALED(wait_status) ? 128 + WTERMSIG(wait_status) : WEXITSTATUS(wait_status);
}

// One command from start to end.
class Run {
 public:
  Run(const Options& options, const rlimit& descriptor_limit, record::OnWritten on_written)
      : options_(options), descriptor_limit_(descriptor_limit), on_written_(std::move(on_written)) {}

  Result<int> Go() {
    FoundProgram program = FindProgram(options_.command.front());
    if (program.path.empty()) {
      Error error{program.exit_code == 127 ? options_.command.front() + ": command not found"
                                           : options_.command.front() + ": " + std::strerror(program.error)};
      error.exit_code = program.exit_code;
      return error;
    }
    auto service = Service::Create(options_, Mode::kCommand, InitSignals());
    if (!service) return Error{service.error().message, 125};
    service_ = std::move(*service);
    service_->Sessions().SetOnWritten(on_written_);
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    auto pid = Start(Plan(program.path), service_->Signals(), descriptor_limit_);
    if (!pid) return pid.error();
    command_ = *pid;
    service_->Sessions().SetCommand(command_);
    if (!options_.follow_children.value_or(true)) service_->Door().AdmitOnly(command_);
    service_->Run([this](const signalfd_siginfo& info) { OnSignal(info); }, [this] { return Over(); });
    service_->Sessions().StopAll();
    SayWhatWasRecorded();
    return ExitStatusOf(*wait_status_);
  }

 private:
  // With the library in it where that can work; the command as it is where it cannot, and one line why.
  Launch Plan(const std::string& path) {
    Launch launch{path, options_.command, PlainEnvironment()};
    auto usable = FindUsableLibrary(path);
    if (!usable) return Refuse(usable.error().message), launch;
    if (!usable->warning.empty()) Refuse(usable->warning);
    if (Status made = record::MakeOutput(record::AbsoluteOutput(options_.output)); !made) {
      WarnOnce("write " + record::AbsoluteOutput(options_.output).native(),
                 made.error().message + ": give --output DIR; the program runs on");
    }
    if (Status open = socket_.Open(options_, service_.get()); !open)
      return Refuse(open.error().message + "; nothing is recorded"), launch;
    launch.environment = RecordedEnvironment(options_, usable->library, socket_.Path());
    return launch;
  }

  void Refuse(const std::string& why) {
    Warn(why);
    explained_ = true;
  }

  void OnSignal(const signalfd_siginfo& info) {
    if (info.ssi_signo == SIGCHLD) return ReapAll();
    if (info.ssi_signo == SIGUSR1) service_->Sessions().SnapshotOnSignal(info);
    if (!wait_status_) return Forward(info, command_);
    if (info.ssi_signo == SIGTERM || info.ssi_signo == SIGINT || info.ssi_signo == SIGHUP) stopped_ = true;
  }

  // Orphans come to us: without this they would stay zombies, and their exit statuses unknown.
  void ReapAll() {
    service_->Door().Drain();
    int status = 0;
    for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
      service_->Sessions().NoteExit(pid, status);
      if (pid == command_) wait_status_ = status;
    }
  }

  bool Over() {
    if (wait_status_) return OverAfterCommand();
    if (!service_->DurationOver()) return false;
    int64_t now_ms = record::NowMs();
    if (terminated_ms_ == 0) {
      terminated_ms_ = now_ms;
      service_->Sessions().SnapshotAll("stop", "");
      service_->Sessions().FinishWork();  // before the command begins to tear itself down
      kill(command_, SIGTERM);
      kill(command_, SIGCONT);
    } else if (now_ms - terminated_ms_ > kTerminatePatienceMs) {
      kill(command_, SIGKILL);
    }
    return false;
  }

  // What the command left behind: recorded until the last of it ends, or named as it goes on unrecorded. What is about to end
  // anyway has a moment for it.
  bool OverAfterCommand() {
    const int64_t now_ms = record::NowMs();
    if (ended_ms_ == 0) ended_ms_ = now_ms;
    if (service_->DurationOver() || stopped_ || !options_.follow_children.value_or(true)) return true;
    if (now_ms < next_look_ms_ && service_->Sessions().Count() > 0) return false;
    next_look_ms_ = now_ms + kLookPauseMs;
    std::vector<Descendant> left = RecordedDescendants();
    if (left.empty()) return true;
    if (options_.wait == Wait::kAll) {
      Detail("the command has ended; waiting for " + Name(left));
      return false;
    }
    if (getpid() == 1) return true;  // the kernel ends them when this process ends
    if (now_ms - ended_ms_ < kStragglerPatienceMs) return false;
    Warn("the command has ended, and what it left behind goes on unrecorded: " + Name(left) + " (--wait all stays with it)");
    return true;
  }

  void SayWhatWasRecorded() {
    uint64_t recorded = service_->Sessions().EverAdmitted();
    if (recorded > 0)
      return Detail("recorded " + std::to_string(recorded) + " process images in " + options_.output.native());
    if (!explained_)
      Notice("nothing was recorded of " + options_.command.front() + ": leakhunt-report doctor says why");
  }

  const Options& options_;
  rlimit descriptor_limit_;
  record::OnWritten on_written_;
  std::unique_ptr<Service> service_;
  RunSocket socket_;
  pid_t command_ = 0;
  std::optional<int> wait_status_;
  int64_t terminated_ms_ = 0;
  int64_t ended_ms_ = 0, next_look_ms_ = 0;  // of the command; of what it left behind
  bool explained_ = false;
  bool stopped_ = false;  // while it waits for what the command left behind
};

}  // namespace

Result<int> RunCommand(const Options& options, const rlimit& descriptor_limit, record::OnWritten on_written) {
  return Run(options, descriptor_limit, std::move(on_written)).Go();
}

}  // namespace leakhunt::supervise
