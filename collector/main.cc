// leakhunt-collect: parses what is asked, runs it, prints the one error there may be.
#include <fcntl.h>
#include <malloc.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstdio>
#include <exception>

#include "collector/alert/judge.h"
#include "collector/attach/attach.h"
#include "collector/base/clean_text.h"
#include "collector/ingest/service.h"
#include "collector/options.h"
#include "collector/record/recording_directory.h"
#include "collector/serve/http_server.h"
#include "collector/supervise/bare.h"
#include "collector/supervise/entry.h"
#include "collector/supervise/run_command.h"

namespace leakhunt {
namespace {

// A descriptor of ours must never be mistaken for standard input, output or error. A command started later finds
// closed what it would have found closed.
void OccupyStandardDescriptors() {
  for (int fd = 0; fd <= 2; ++fd) {
    if (fcntl(fd, F_GETFD) < 0) (void)!open("/dev/null", O_RDWR | O_CLOEXEC);
  }
}

// As many descriptors as we may have; returns the limit as it was, which is what a command gets.
rlimit RaiseDescriptorLimit() {
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  rlimit raised = limit;
  raised.rlim_cur = raised.rlim_max;
  setrlimit(RLIMIT_NOFILE, &raised);
  return limit;
}

// A wrong setting is an error, which the caller passes over when a variable or an entry point asked for it. So is an address that cannot be had, but a command then runs without the API.
Status ServeHttp(const Options& options, serve::HttpServer* http) {
  if (options.http.empty()) return Ok();
  const int usage = options.command.empty() ? 2 : 125;
  auto settings = serve::ParseHttpSettings(options.http, options.http_hosts, options.http_token_file);
  if (!settings) return Error{settings.error().message, usage};
  Status up = http->Open(*settings);
  if (!up && up.error().exit_code == 2) return Error{up.error().message, usage};
  if (up) up = http->Start(*settings, record::AbsoluteOutput(options.output));
  if (up || options.command.empty()) return up;
  Warn(up.error().message + "; recording goes on without it");
  return Ok();
}

Result<int> Dispatch(const Options& options, const rlimit& descriptor_limit) {
  alert::Judge judge(options.on_alert);
  serve::HttpServer http;
  if (Status served = ServeHttp(options, &http); !served) {
    if (!options.http_may_fail && !options.or_bare) return served.error();
    Warn(served.error().message + "; recording goes on without it");
  }
  record::OnWritten look;
  if (GetVerbosity() >= Verbosity::kNormal || !options.on_alert.empty()) {
    look = [&judge](const std::filesystem::path& recording, uint32_t number) { judge.Look(recording, number); };
  }
  if (!options.command.empty()) return supervise::RunCommand(options, descriptor_limit, look);
  if (options.attach_pid != 0) return attach::RecordProcess(options, look);
  if (options.client_fd >= 0) return ingest::ServeSpawned(options);
  return ingest::Serve(options, look);
}

// With --or-bare nothing of ours is between the command and its start.
Result<int> DispatchOrBare(Options options, const supervise::StartState& start) {
  if (options.or_bare && !options.command.empty()) {
    auto way = supervise::SettleEntry(&options);
    if (!way) return way.error();
    if (*way != supervise::EntryWay::kCollect) return supervise::BecomeCommand(options.command, start);
  }
  return Dispatch(options, RaiseDescriptorLimit());
}

int Main(int argc, char** argv) {
  const supervise::StartState start;
  mallopt(M_ARENA_MAX, 1);  // threads never run at the same time (base/turns.h)
  OccupyStandardDescriptors();
  auto invocation = ParseInvocation(argc, argv);
  if (invocation && !invocation->run) return 0;
  Result<int> status = invocation ? DispatchOrBare(invocation->options, start) : Result<int>(invocation.error());
  if (status) return *status;
  const std::vector<std::string> bare = CommandToRunBare(argc, argv);
  const bool of_command = status.error().exit_code == 126 || status.error().exit_code == 127;
  const bool runs_bare = !of_command && !bare.empty();
  const std::string why = status.error().message + (runs_bare ? "; running without leakhunt" : "");
  std::fputs(MessageLine("leakhunt-collect", why).c_str(), stderr);
  if (runs_bare) return supervise::BecomeCommand(bare, start);
  return status.error().exit_code;
}

}  // namespace
}  // namespace leakhunt

int main(int argc, char** argv) {
  try {
    return leakhunt::Main(argc, argv);
  } catch (const std::exception& error) {  // out of memory, from the library underneath
    std::fprintf(stderr, "leakhunt-collect: %s\n", error.what());
    return 125;
  }
}
