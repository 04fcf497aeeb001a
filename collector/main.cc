// leakhunt-collect: parses what is asked, runs it, prints the one error there may be.
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstdio>
#include <exception>

#include "collector/alert/judge.h"
#include "collector/attach/attach.h"
#include "collector/base/clean_text.h"
#include "collector/ingest/service.h"
#include "collector/options.h"
#include "collector/serve/http_server.h"
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

// A wrong setting is an error. So is an address that cannot be had, but a command then runs without the API.
Status ServeHttp(const Options& options, serve::HttpServer* http) {
  if (options.http.empty()) return Ok();
  const int usage = options.command.empty() ? 2 : 125;
  auto settings = serve::ParseHttpSettings(options.http, options.http_hosts, options.http_token_file);
  if (!settings) return Error{settings.error().message, usage};
  Status up = http->Open(*settings);
  if (!up && up.error().exit_code == 2) return Error{up.error().message, usage};
  if (up) up = http->Start(*settings, std::filesystem::absolute(options.output));
  if (up || options.command.empty()) return up;
  Notice(up.error().message + "; recording goes on without it");
  return Ok();
}

Result<int> Dispatch(const Options& options, const rlimit& descriptor_limit) {
  alert::Judge judge(options.on_alert);
  serve::HttpServer http;
  if (Status served = ServeHttp(options, &http); !served) return served.error();
  record::OnWritten look;
  if (options.verbosity != Verbosity::kQuiet || !options.on_alert.empty()) {
    look = [&judge](const std::filesystem::path& recording, uint32_t number) { judge.Look(recording, number); };
  }
  if (!options.command.empty()) return supervise::RunCommand(options, descriptor_limit, look);
  if (options.attach_pid != 0) return attach::RecordProcess(options, look);
  if (options.client_fd >= 0) return ingest::ServeSpawned(options);
  return ingest::Serve(options, look);
}

int Main(int argc, char** argv) {
  OccupyStandardDescriptors();
  auto invocation = ParseInvocation(argc, argv);
  if (invocation && !invocation->run) return 0;
  Result<int> status =
      invocation ? Dispatch(invocation->options, RaiseDescriptorLimit()) : Result<int>(invocation.error());
  if (status) return *status;
  std::fputs(MessageLine("leakhunt-collect", status.error().message).c_str(), stderr);
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
