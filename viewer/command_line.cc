#include "viewer/command_line.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <sstream>

namespace leakhunt::viewer {
namespace {

constexpr int kUsage = 2;

constexpr const char* kFooter =
    "PATH: a snapshot file, a recording's directory, or a directory of recordings; ./leakhunt-data unless given.\n"
    "Exit status: 0 done, 1 input cannot be read, 2 usage, 3 --fail-on met.\n"
    "leakhunt-report COMMAND --help lists the options of a command.";

std::vector<std::string> SplitFormats(const char* formats) {
  std::vector<std::string> list;
  std::stringstream stream(formats);
  for (std::string one; std::getline(stream, one, ',');) list.push_back(one);
  return list;
}

// Text forms that Options does not hold.
struct Spelled {
  std::string symbols = "auto", min_age;
};

const std::vector<std::pair<std::string, Sort>> kSorts = {{"live-bytes", Sort::kLiveBytes},
                                                          {"live-count", Sort::kLiveCount},
                                                          {"total-bytes", Sort::kTotalBytes},
                                                          {"growth", Sort::kGrowth},
                                                          {"age", Sort::kAge}};
const std::vector<std::pair<std::string, By>> kBys = {
    {"site", By::kSite},     {"function", By::kFunction}, {"file", By::kFile},   {"module", By::kModule},
    {"thread", By::kThread}, {"type", By::kType},         {"scope", By::kScope}, {"peer", By::kPeer},
    {"pattern", By::kPattern}};

template <typename T>
std::string Names(const std::vector<std::pair<std::string, T>>& table) {
  std::string names;
  for (const auto& [name, value] : table) names += (names.empty() ? "" : "|") + name;
  return names;
}

template <typename T>
void AddChoice(CLI::App* app, const char* option, T& target, const std::vector<std::pair<std::string, T>>& table,
               const char* help) {
  auto set = [&target, &table, option](const std::string& text) {
    for (const auto& [name, value] : table) {
      if (name == text) {
        target = value;
        return;
      }
    }
    throw CLI::ValidationError(option, fmt::format("{} is not one of {}", text, Names(table)));
  };
  app->add_option_function<std::string>(option, set, help)->type_name(Names(table));
}

void AddRanking(CLI::App* app, uint32_t mask, Options& o) {
  if (mask & (kRank | kLimitOnly)) {
    app->add_option("--limit", o.limit, "at most N rows; 0 = all")->type_name("N")->check(CLI::NonNegativeNumber);
  }
  if (mask & kRank) AddChoice(app, "--sort", o.sort, kSorts, "order of the rows; growth: what leaks before what is bounded");
  if (mask & kGroup) AddChoice(app, "--by", o.by, kBys, "what one row is");
  if (mask & kPattern) {
    app->add_option("--pattern", o.patterns, "a category: stacks with a function, file or module that matches; the first that does")
        ->type_name("NAME=REGEX")
        ->allow_extra_args(false);
  }
  if (mask & kFilter) {
    app->add_option("--filter", o.filter, "only where a function, file, module or label matches")->type_name("REGEX");
  }
}

void AddSelection(CLI::App* app, uint32_t mask, Options& o) {
  if (mask & kSelect) {
    app->add_option("--snapshot", o.snapshot, "which snapshot of the recording")->type_name("N|first|last|end|peak|LABEL|-5m|12:30");
  }
  if (mask & kPick) {
    app->add_option("--pid", o.pid, "the process with this pid")->type_name("PID")->check(CLI::PositiveNumber);
    app->add_flag("--all", o.all, "sum the processes of the run");
  }
}

void AddSymbols(CLI::App* app, uint32_t mask, Options& o, Spelled& spelled) {
  const char* group = mask & kSymbols ? "Options" : "";  // a command that needs no symbols takes the options, unsaid
  app->add_option("--symbols", spelled.symbols, "look up functions and lines")
      ->type_name("auto|off")
      ->check(CLI::IsMember({"auto", "off"}))
      ->group(group);
  app->add_option("--debug-dir", o.debug_dirs, "look for debug files here first")
      ->type_name("DIR")
      ->allow_extra_args(false)
      ->group(group);
  app->add_option("--sysroot", o.sysroot, "prefix of the modules' paths")->type_name("DIR")->group(group);
}

void AddOptions(CLI::App* app, const Command& command, Options& o, Spelled& spelled) {
  o.format = SplitFormats(command.formats).front();
  std::string formats = command.formats;
  std::replace(formats.begin(), formats.end(), ',', '|');
  app->add_option("arguments", o.paths, "what to read")->type_name(command.arguments);
  app->add_option("--format", o.format, "how to write it")
      ->type_name(formats)
      ->check(CLI::IsMember(SplitFormats(command.formats)));
  AddRanking(app, command.options, o);
  AddSelection(app, command.options, o);
  AddSymbols(app, command.options, o, spelled);
  if (command.options & kStacks) app->add_flag("--full-stacks,--verbose", o.full_stacks, "show every frame");
  if (command.options & kHandles) {
    app->add_flag("--untracked", o.untracked, "list open handles without a call site too");
    app->add_option("--min-age", spelled.min_age, "only handles open for at least this long")->type_name("DURATION");
  }
  if (command.options & kMemoryOrHandles) app->add_flag("--handles", o.handles, "handles instead of memory");
  if (command.options & kValue) {
    app->add_option("--value", o.value, "the value of collapsed stacks, such as inuse_space or alloc_objects")
        ->type_name("NAME");
  }
  if (command.options & kFailOn) {
    app->add_option("--fail-on", o.fail_on, "exit with 3 when a site has this verdict")
        ->type_name("VERDICT")
        ->check(CLI::IsMember({"leaking", "onset", "growing-unproven"}));
  }
  app->add_option("-o,--output", o.output, "write to FILE instead of standard output")->type_name("FILE");
}

std::string GeneralHelp() {
  std::string text = "leakhunt-report reads recordings of leakhunt and says what holds memory and handles.\n\n"
                     "Usage: leakhunt-report [COMMAND] [PATH…] [OPTIONS]\nWithout a command: summary.\n\nCommands:\n";
  for (const Command* command : Commands()) text += fmt::format("  {:<12} {}\n", command->name, command->summary);
  return text + "  help         this text\n  version      the version\n\n" + kFooter + "\n";
}

Error Usage(const std::string& message) {
  std::string line = message;
  std::replace(line.begin(), line.end(), '\n', ' ');
  return Error{line, kUsage};
}

Result<CommandLine> Finish(CommandLine line, const Spelled& spelled, const CLI::App& app) {
  Options& o = line.options;
  o.symbols = spelled.symbols != "off";
  if (const CLI::Option* limit = app.get_option_no_throw("--limit")) o.limit_given = limit->count() > 0;
  if (!spelled.min_age.empty()) {
    Result<int64_t> age = ParseDuration(spelled.min_age);
    if (!age) return Usage("--min-age: " + age.error().message);
    o.min_age_ms = *age;
  }
  if (o.paths.size() > line.command->most_arguments) {
    return Usage(fmt::format("{} takes at most {} argument{}; {} is too many", line.command->name,
                             line.command->most_arguments, line.command->most_arguments == 1 ? "" : "s",
                             o.paths[line.command->most_arguments]));
  }
  if (o.by == By::kPattern && o.patterns.empty()) return Usage("--by pattern: give at least one --pattern NAME=REGEX");
  if (o.all && o.pid != 0) return Usage("--all and --pid exclude each other");
  return line;
}

Result<CommandLine> ParseCommand(const Command& command, std::vector<std::string> rest) {
  CommandLine line{&command, {}, {}};
  Spelled spelled;
  CLI::App app(command.summary, fmt::format("leakhunt-report {}", command.name));
  AddOptions(&app, command, line.options, spelled);
  std::reverse(rest.begin(), rest.end());  // as CLI11 wants it
  try {
    app.parse(rest);
  } catch (const CLI::CallForHelp&) {
    return CommandLine{nullptr, {}, app.help()};
  } catch (const CLI::ParseError& defect) {
    return Usage(fmt::format("{} (see leakhunt-report {} --help)", defect.what(), command.name));
  }
  return Finish(std::move(line), spelled, app);
}

}  // namespace

Result<CommandLine> ParseCommandLine(const std::vector<std::string>& arguments) {
  if (arguments.empty()) return ParseCommand(kSummaryCommand, {});
  const std::string& name = arguments.front();
  std::vector<std::string> rest(arguments.begin() + 1, arguments.end());
  if (name == "help" && !rest.empty() && FindCommand(rest.front()) != nullptr) {
    return ParseCommand(*FindCommand(rest.front()), {"--help"});
  }
  if (name == "--help" || name == "-h" || name == "help") return CommandLine{nullptr, {}, GeneralHelp()};
  if (name == "--version" || name == "version") {
    return CommandLine{nullptr, {}, "leakhunt-report " LEAKHUNT_VERSION "\n"};
  }
  if (const Command* command = FindCommand(name)) return ParseCommand(*command, std::move(rest));
  // Without a command: the summary of what is named, or with these options.
  std::error_code ignored;
  if (name.starts_with("-") || std::filesystem::exists(name, ignored)) return ParseCommand(kSummaryCommand, arguments);
  return Usage(fmt::format("unknown command {}; leakhunt-report --help lists them", name));
}

}  // namespace leakhunt::viewer
