// The table of commands.
#include "viewer/command.h"

namespace leakhunt::viewer {
namespace {

const Command* const kCommands[] = {
    &kSummaryCommand, &kTopSitesCommand, &kHandlesCommand, &kDiffCommand, &kVitalsCommand, &kProcessesCommand, &kDoctorCommand,
    &kExportCommand, &kFlameGraphCommand, &kHtmlCommand, &kSymbolizeCommand, &kBundleCommand,
    &kTrendCommand, &kFindingsCommand, &kLiveCommand,
};

}  // namespace

std::span<const Command* const> Commands() { return kCommands; }

const Command* FindCommand(const std::string& name) {
  for (const Command* command : kCommands) {
    if (name == command->name) return command;
  }
  return nullptr;
}

}  // namespace leakhunt::viewer
