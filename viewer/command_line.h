// From argv to Options. Nothing is read or written here.
#pragma once

#include <string>
#include <vector>

#include "collector/base/result.h"
#include "viewer/command.h"

namespace leakhunt::viewer {

struct CommandLine {
  const Command* command = nullptr;  // null: `text` is all there is to say (help, version)
  Options options;
  std::string text;
};

// Errors have exit code 2.
Result<CommandLine> ParseCommandLine(const std::vector<std::string>& arguments);

}  // namespace leakhunt::viewer
