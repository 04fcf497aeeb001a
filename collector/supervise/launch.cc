#include "collector/supervise/launch.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <system_error>

#include "collector/supervise/program_check.h"

namespace leakhunt::supervise {
namespace {

using Environment = std::vector<std::string>;

std::string* FindVariable(Environment* environment, const std::string& name) {
  for (std::string& entry : *environment) {
    if (entry.starts_with(name + "=")) return &entry;
  }
  return nullptr;
}

void Set(Environment* environment, const std::string& name, const std::string& value) {
  std::string entry = name + "=" + value;
  std::string* existing = FindVariable(environment, name);
  if (existing != nullptr) {
    *existing = entry;
  } else {
    environment->push_back(entry);
  }
}

// Ours goes first: a preloaded allocator after it is what it forwards to; before it, it would hide the program from us.
void AddPreload(Environment* environment, const std::string& library) {
  std::string* existing = FindVariable(environment, "LD_PRELOAD");
  std::string others = existing == nullptr ? "" : existing->substr(existing->find('=') + 1);
  if (others.find("libleakhunt.so") != std::string::npos) return;
  Set(environment, "LD_PRELOAD", others.empty() ? library : library + ":" + others);
}

std::string TrackList(uint32_t mask) {
  std::string list;
  constexpr std::pair<uint32_t, const char*> kNames[] = {{protocol::kTrackHeap, "heap"},
                                                         {protocol::kTrackMmap, "mmap"},
                                                         {protocol::kTrackHandles, "handles"},
                                                         {protocol::kTrackThreads, "threads"}};
  for (const auto& [bit, name] : kNames) {
    if ((mask & bit) != 0) list += (list.empty() ? "" : ",") + std::string(name);
  }
  return list;
}

std::string Percent(uint32_t ppm) {
  char text[32];
  std::snprintf(text, sizeof(text), "%g%%", ppm / 10'000.0);
  return text;
}

std::vector<char*> Pointers(const std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  for (const std::string& string : strings) pointers.push_back(const_cast<char*>(string.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

Error ExecError(const std::string& path, int error) {
  Error result = ErrnoError("cannot run " + path, error);
  result.exit_code = error == ENOENT ? 127 : 126;
  return result;
}

}  // namespace

std::filesystem::path FindLibrary() {
  std::error_code error;
  const char* named = std::getenv("LEAKHUNT_LIBRARY");
  if (named != nullptr && *named != '\0')
    return std::filesystem::exists(named, error) ? std::filesystem::absolute(named) : std::filesystem::path();
  std::filesystem::path program = std::filesystem::read_symlink("/proc/self/exe", error);
  std::filesystem::path prefix = program.parent_path().parent_path();
  for (const char* place : {"lib", "lib/x86_64-linux-gnu", "lib/aarch64-linux-gnu", "lib64", "preload"}) {
    std::filesystem::path candidate = prefix / place / "libleakhunt.so";
    if (std::filesystem::exists(candidate, error)) return candidate;
  }
  return {};
}

Result<UsableLibrary> FindUsableLibrary(const std::string& path) {
  std::filesystem::path library = FindLibrary();
  ProgramCheck check = CheckProgram(path);
  if (check.obstacle == Obstacle::kMusl && !library.empty() && LoadsUnderMusl(library.native())) check.obstacle = Obstacle::kNone;
  if (check.obstacle == Obstacle::kMusl || check.obstacle == Obstacle::kOtherMachine) return Error{Explain(check)};
  if (library.empty())
    return Error{"cannot find libleakhunt.so beside this program: set LEAKHUNT_LIBRARY; nothing is recorded"};
  if (!IsLibraryForUs(library.native()))
    return Error{library.native() + " is not a library for this machine: nothing is recorded"};
  if (library.native().find_first_of(" :") != std::string::npos) {
    return Error{"LD_PRELOAD cannot name " + library.native() +
                 " (space or colon in it): install leakhunt elsewhere; nothing is recorded"};
  }
  return UsableLibrary{library, Explain(check)};
}

Environment PlainEnvironment() {
  Environment environment;
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) environment.emplace_back(*entry);
  return environment;
}

std::vector<std::string> RecordingVariables(const Options& options) {
  std::vector<std::string> variables;
  auto add = [&](const char* name, const std::string& value) { variables.push_back(std::string(name) + "=" + value); };
  if (options.sample_bytes) add("LEAKHUNT_SAMPLE_BYTES", std::to_string(*options.sample_bytes));
  if (options.budget_ppm) add("LEAKHUNT_BUDGET", Percent(*options.budget_ppm));
  if (options.track) add("LEAKHUNT_TRACK", TrackList(*options.track));
  if (options.follow_children) add("LEAKHUNT_CHILDREN", *options.follow_children ? "follow" : "ignore");
  if (options.interval_ms) add("LEAKHUNT_INTERVAL", std::to_string(*options.interval_ms) + "ms");
  return variables;
}

Environment RecordedEnvironment(const Options& options, const std::filesystem::path& library,
                                const std::filesystem::path& socket) {
  Environment environment = PlainEnvironment();
  AddPreload(&environment, library.native());
  Set(&environment, "LEAKHUNT_SOCKET", std::filesystem::absolute(socket).native());
  Set(&environment, "LEAKHUNT_COLLECTOR", "run");
  for (const std::string& variable : RecordingVariables(options)) {
    size_t equals = variable.find('=');
    Set(&environment, variable.substr(0, equals), variable.substr(equals + 1));
  }
  // A guest that finds no sampling in its environment waits for the welcome, at each start of a process.
  bool known = FindVariable(&environment, "LEAKHUNT_SAMPLE_BYTES") != nullptr ||
               FindVariable(&environment, "LEAKHUNT_BUDGET") != nullptr;
  if (!known) Set(&environment, "LEAKHUNT_BUDGET", Percent(kDefaultBudgetPpm));
  return environment;
}

Result<pid_t> Start(const Launch& launch, const ingest::SignalSource& signals, const rlimit& descriptor_limit) {
  std::vector<char*> arguments = Pointers(launch.arguments);
  std::vector<char*> environment = Pointers(launch.environment);
  int report[2];
  if (pipe2(report, O_CLOEXEC) != 0) {
    Error error = ErrnoError("cannot make a pipe", errno);
    error.exit_code = 125;
    return error;
  }
  UniqueFd report_read(report[0]), report_write(report[1]);
  pid_t pid = fork();
  if (pid < 0) {
    Error error = ErrnoError("cannot start a process", errno);
    error.exit_code = 125;
    return error;
  }
  if (pid == 0) {
    setrlimit(RLIMIT_NOFILE, &descriptor_limit);
    signals.RestoreInChild();
    execvpe(launch.path.c_str(), arguments.data(), environment.data());
    int error = errno;
    (void)!write(report_write.Get(), &error, sizeof(error));
    _exit(126);
  }
  report_write.Reset();
  int error = 0;
  ssize_t got;
  do {
    got = read(report_read.Get(), &error, sizeof(error));
  } while (got < 0 && errno == EINTR);
  if (got == static_cast<ssize_t>(sizeof(error))) return ExecError(launch.path, error);
  return pid;
}

}  // namespace leakhunt::supervise
