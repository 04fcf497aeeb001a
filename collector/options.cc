#include "collector/options.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "collector/base/quantity.h"
#include "collector/track_list.h"

namespace leakhunt {
namespace {

constexpr char kDescription[] =
    "Record the memory and descriptors that live programs hold, per call site.\n\n"
    "  leakhunt-collect [OPTIONS] -- COMMAND [ARG...]   run COMMAND and record it and its children\n"
    "  leakhunt-collect [OPTIONS] --pid PID             record a running process\n"
    "  leakhunt-collect [OPTIONS]                       serve every preloaded process of this user (root: of this "
    "host)";

constexpr char kFooter[] =
    "SIGUSR1 takes a snapshot of every process. With COMMAND the exit status is its own; 128+N when signal N\n"
    "ended it; 125 when leakhunt failed before starting it, 126 not executable, 127 not found.\n"
    "Read recordings with leakhunt-report.";

constexpr char kOptionsVariable[] = "LEAKHUNT_OPTIONS";

std::string FirstLine(const std::string& text) { return text.substr(0, text.find('\n')); }

int UsageExitCode(const std::vector<std::string>& command) { return command.empty() ? 2 : 125; }

// A callback that parses an option's last value into `field`.
template <typename Field, typename Parser>
std::function<bool(const CLI::results_t&)> Into(const std::string& name, Field* field, Parser parser) {
  return [name, field, parser](const CLI::results_t& values) {
    auto parsed = parser(values.back());
    if (!parsed) throw CLI::ValidationError(name, parsed.error().message);
    *field = *parsed;
    return true;
  };
}

Result<bool> ParseChildren(const std::string& text) {
  if (text == "follow") return true;
  if (text == "ignore") return false;
  return Error{"'" + text + "' is neither follow nor ignore"};
}

Result<Wait> ParseWait(const std::string& text) {
  if (text == "all") return Wait::kAll;
  if (text == "command") return Wait::kCommand;
  return Error{"'" + text + "' is neither all nor command"};
}

Result<pid_t> ParsePid(const std::string& text) {
  char* end = nullptr;
  long pid = std::strtol(text.c_str(), &end, 10);
  if (text.empty() || *end != '\0' || pid <= 0 || pid > (1 << 22)) return Error{"'" + text + "' is not a process id"};
  return static_cast<pid_t>(pid);
}

Result<uint64_t> ParseSampleBytes(const std::string& text) {
  Result<uint64_t> bytes = ParseSize(text);
  if (bytes && (*bytes == 0 || *bytes > (uint64_t{1} << 31))) return Error{"'" + text + "' is not between 1 and 2G"};
  return bytes;
}

void AddOptions(CLI::App* app, Options* options) {
  auto text = [&](const char* name, CLI::callback_t callback, const char* type, const char* help) {
    CLI::Option* option = app->add_option(name, std::move(callback), help);
    option->type_name(type)->take_last();
    return option;
  };
  text(
      "--output",
      [options](const CLI::results_t& v) {
        return options->output = v.back(), options->output_given = true, !v.back().empty();
      },
      "DIR", "where recordings go (default: ./leakhunt-data)");
  text(
      "--socket", [options](const CLI::results_t& v) { return options->socket = v.back(), true; }, "PATH",
      "where to listen (default: $LEAKHUNT_SOCKET, else a private address of this user)");
  text("--interval", Into("--interval", &options->interval_ms, ParseDuration), "DURATION",
       "time between snapshots (default: 60s)");
  text("--budget", Into("--budget", &options->budget_ppm, ParsePercent), "PERCENT",
       "ceiling for leakhunt's own CPU in the program (default: 1%)");
  text("--sample-bytes", Into("--sample-bytes", &options->sample_bytes, ParseSampleBytes), "N",
       "fixed mean sampling interval in bytes; 1 records every allocation");
  text("--track", Into("--track", &options->track, ParseTrack), "LIST",
       "what to record (default: heap,mmap,handles,threads)");
  text("--children", Into("--children", &options->follow_children, ParseChildren), "follow|ignore",
       "forked and exec'ed children (default: follow)");
  text("--duration", Into("--duration", &options->duration_ms, ParseDuration), "DURATION",
       "stop after; a COMMAND still running is then terminated");
  text("--snapshot-at-rss", Into("--snapshot-at-rss", &options->snapshot_at_rss, ParseSizeList), "LIST",
       "a snapshot when RSS first passes each size, e.g. 2G,4G,6G");
  text("--max-disk", Into("--max-disk", &options->max_disk_bytes, ParseSize), "SIZE",
       "ceiling for one recording, by thinning (default: 1G)");
  text("--max-disk-total", Into("--max-disk-total", &options->max_disk_total_bytes, ParseSize), "SIZE",
       "ceiling for all recordings under DIR: oldest ended ones go first (default: 10G)");
  text(
      "--on-alert", [options](const CLI::results_t& v) { return options->on_alert = v.back(), true; }, "CMD",
      "run CMD with the alert as JSON on stdin when a leak is found, changes or ends");
  text(
      "--http", [options](const CLI::results_t& v) { return options->http = v.back(), true; }, "ADDR:PORT|unix:PATH",
      "serve the HTTP API, on loopback unless ADDR says otherwise (default: off)");
  app->add_option("--http-host", options->http_hosts, "another name that a request's Host may have; repeatable")
      ->type_name("NAME")
      ->allow_extra_args(false);
  text(
      "--http-token-file", [options](const CLI::results_t& v) { return options->http_token_file = v.back(), true; },
      "FILE", "requests must bear the token in FILE; needed for any address but loopback and unix:PATH");
  text("--wait", Into("--wait", &options->wait, ParseWait), "all|command",
       "stay until COMMAND has ended, or all recorded processes that it left behind (default: command)");
  app->add_flag_callback(
      "--or-bare", [options] { options->or_bare = true; },
      "run COMMAND without leakhunt, after one line, when leakhunt cannot work");
  text("--pid", Into("--pid", &options->attach_pid, ParsePid), "PID", "record this running process until it ends");
  text(
      "--client-fd",
      [options](const CLI::results_t& v) { return CLI::detail::lexical_cast(v.back(), options->client_fd); }, "N", "")
      ->group("");
  text("--linger", Into("--linger", &options->linger_ms, ParseDuration), "DURATION", "")->group("");
  auto* quiet = app->add_flag_callback(
      "--quiet", [options] { options->verbosity = Verbosity::kQuiet; }, "say nothing");
  app->add_flag_callback(
         "--verbose", [options] { options->verbosity = Verbosity::kVerbose; }, "say what is being done")
      ->excludes(quiet);
}

// A variable's value through `parser`; a bad one costs a line and leaves the field as it was. The command is not given it, or
// each of its processes would say so again.
template <typename Field, typename Parser>
void FromEnvironment(const char* variable, Field* field, Parser parser) {
  const char* value = std::getenv(variable);
  if (value == nullptr || *value == '\0') return;
  auto parsed = parser(value);
  if (parsed) {
    *field = *parsed;
  } else {
    Warn(std::string(variable) + ": " + parsed.error().message + "; using the default");
    unsetenv(variable);
  }
}

void ApplyEnvironment(Options* options) {
  if (!options->output_given) {
    const char* output = std::getenv("LEAKHUNT_OUTPUT");
    if (output != nullptr && *output != '\0') options->output = output, options->output_given = true;
  }
  if (!options->interval_ms) FromEnvironment("LEAKHUNT_INTERVAL", &options->interval_ms, ParseDuration);
  if (options->client_fd >= 0) return;  // the others are of the program that started this collector, not of its other clients
  if (!options->budget_ppm) FromEnvironment("LEAKHUNT_BUDGET", &options->budget_ppm, ParsePercent);
  if (!options->sample_bytes) FromEnvironment("LEAKHUNT_SAMPLE_BYTES", &options->sample_bytes, ParseSampleBytes);
  if (!options->track) FromEnvironment("LEAKHUNT_TRACK", &options->track, ParseTrack);
  if (!options->follow_children) FromEnvironment("LEAKHUNT_CHILDREN", &options->follow_children, ParseChildren);
}

// The words of LEAKHUNT_OPTIONS, each option with its values.
std::vector<std::vector<std::string>> OptionsVariable() {
  const char* text = std::getenv(kOptionsVariable);
  std::vector<std::vector<std::string>> groups;
  for (const std::string& word : CLI::detail::split_up(text == nullptr ? "" : text)) {
    if (word.empty()) continue;
    if (groups.empty() || word.front() == '-') groups.emplace_back();
    groups.back().push_back(word);
  }
  return groups;
}

// Options that stand in the variable, before those of the command line. One that is wrong costs a line, which is
// returned, and itself.
std::vector<std::string> ApplyOptionsVariable(Options* options) {
  std::vector<std::string> complaints;
  for (std::vector<std::string> group : OptionsVariable()) {
    const std::string name = group.front();
    Options changed = *options;
    CLI::App app("", "leakhunt-collect");
    app.set_help_flag();
    AddOptions(&app, &changed);
    std::string why;
    try {
      std::reverse(group.begin(), group.end());  // as CLI11 wants them
      app.parse(std::move(group));
    } catch (const CLI::ExtrasError&) {
      why = "'" + name + "' is not understood";
    } catch (const CLI::ParseError& error) {
      why = FirstLine(error.what());
    }
    if (changed.attach_pid != 0 || changed.client_fd >= 0) why = "'" + name + "' belongs on the command line";
    if (!why.empty()) {
      complaints.push_back(std::string(kOptionsVariable) + ": " + why + "; going on without it");
      continue;
    }
    changed.http_may_fail = changed.http_may_fail || name.starts_with("--http");
    *options = std::move(changed);
  }
  return complaints;
}

// Position of the "--" before a command; argc when there is none.
int SeparatorOf(int argc, char** argv) {
  int separator = 1;
  while (separator < argc && std::strcmp(argv[separator], "--") != 0) ++separator;
  return separator;
}

Status CheckCombination(const Options& options) {
  if (options.attach_pid != 0 && !options.command.empty()) return Error{"--pid and a command exclude each other"};
  if (options.client_fd >= 0 && (options.attach_pid != 0 || !options.command.empty())) {
    return Error{"--client-fd excludes --pid and a command"};
  }
  if (options.http.empty() && !(options.http_hosts.empty() && options.http_token_file.empty())) {
    return Error{"--http-host and --http-token-file go with --http"};
  }
  return Ok();
}

}  // namespace

Result<Invocation> ParseInvocation(int argc, char** argv) {
  Invocation invocation;
  Options& options = invocation.options;
  const int separator = SeparatorOf(argc, argv);
  for (int i = separator + 1; i < argc; ++i) options.command.emplace_back(argv[i]);
  int exit_code = UsageExitCode(options.command);

  CLI::App app(kDescription, "leakhunt-collect");
  app.set_version_flag("--version", "leakhunt-collect " LEAKHUNT_VERSION);
  app.footer(kFooter);
  const std::vector<std::string> complaints = ApplyOptionsVariable(&options);
  AddOptions(&app, &options);
  try {
    app.parse(separator, argv);
  } catch (const CLI::Success& done) {
    app.exit(done);
    return invocation;
  } catch (const CLI::ExtrasError&) {
    std::string first = app.remaining().empty() ? "" : app.remaining().front();
    if (!first.empty() && first[0] == '-') {
      return Error{"unknown option '" + first + "' (leakhunt-collect --help lists them)", exit_code};
    }
    return Error{"unexpected '" + first + "': to run a command, write leakhunt-collect [OPTIONS] -- COMMAND",
                 exit_code};
  } catch (const CLI::ParseError& error) {
    return Error{FirstLine(error.what()), exit_code};
  }
  if (separator + 1 == argc) return Error{"no command after '--'", 125};
  if (app.count("--http") > 0) options.http_may_fail = false;
  SetVerbosity(options.verbosity.value_or(options.or_bare ? Verbosity::kWarnings : Verbosity::kNormal));
  for (const std::string& complaint : complaints) Warn(complaint);
  ApplyEnvironment(&options);
  if (Status status = CheckCombination(options); !status) return Error{status.error().message, exit_code};
  invocation.run = true;
  return invocation;
}

std::vector<std::string> CommandToRunBare(int argc, char** argv) {
  const int separator = SeparatorOf(argc, argv);
  bool asked = false;
  for (int i = 1; i < separator; ++i) asked = asked || std::strcmp(argv[i], "--or-bare") == 0;
  for (const auto& group : OptionsVariable()) asked = asked || group.front() == "--or-bare";
  if (!asked || separator + 1 >= argc) return {};
  return {argv + separator + 1, argv + argc};
}

}  // namespace leakhunt
