// The table of commands.
#include "viewer/command.h"

namespace leakhunt::viewer {
namespace {

const Command* const kCommands[] = {
    &kTopSitesCommand, &kHandlesCommand, &kDiffCommand, &kVitalsCommand, &kProcessesCommand, &kDoctorCommand,
    &kExportCommand, &kFlameGraphCommand, &kHtmlCommand, &kSymbolizeCommand, &kBundleCommand,
    &kTrendCommand, &kFindingsCommand,
};

const char* const kLater[] = {"trend", "findings", "flamegraph", "html", "live", "export", "symbolize", "bundle"};

}  // namespace

std::span<const Command* const> Commands() { return kCommands; }

const Command* FindCommand(const std::string& name) {
  for (const Command* command : kCommands) {
    if (name == command->name) return command;
  }
  return nullptr;
}

bool IsLaterCommand(const std::string& name) {
  for (const char* later : kLater) {
    if (name == later) return FindCommand(name) == nullptr;
  }
  return false;
}

}  // namespace leakhunt::viewer
