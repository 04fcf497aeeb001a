// A command of leakhunt-report, and the table of all of them.
//
// To add one: write NAME_command.cc that defines `const Command kNameCommand`, declare it below, put it in the table in
// commands.cc and in CMakeLists.txt. Commands write to Context.out and return errors; they never print to the
// process's own streams and never exit.
#pragma once

#include <iosfwd>
#include <span>

#include "collector/base/result.h"
#include "viewer/options.h"
#include "viewer/render/terminal.h"

namespace leakhunt::viewer {

struct Context {
  const Options& options;
  std::ostream& out;  // the report
  std::ostream& err;  // notes: what was chosen, what could not be read
  Terminal terminal;
  std::ostream& screen;  // what `out` goes to in the end, for a view that is drawn while the command runs
};

struct Command {
  const char* name;
  const char* summary;    // one line of --help
  const char* arguments;  // "[PATH…]" in --help
  size_t most_arguments;
  const char* formats;    // comma-separated, the default first
  uint32_t options;       // OptionMask
  Result<int> (*run)(Context& context);  // exit status, or what went wrong
};

extern const Command kSummaryCommand;
extern const Command kTopSitesCommand;
extern const Command kHandlesCommand;
extern const Command kDiffCommand;
extern const Command kProcessesCommand;
extern const Command kVitalsCommand;
extern const Command kDoctorCommand;
extern const Command kTrendCommand;
extern const Command kFindingsCommand;
extern const Command kExportCommand;
extern const Command kFlameGraphCommand;
extern const Command kHtmlCommand;
extern const Command kLiveCommand;
extern const Command kSymbolizeCommand;
extern const Command kBundleCommand;

// In the order of --help.
std::span<const Command* const> Commands();
// nullptr: no such command in this version.
const Command* FindCommand(const std::string& name);

}  // namespace leakhunt::viewer
