// Starting the command: its environment, the library in it, fork and exec.
//
// The command must find everything as without leakhunt: descriptors, signal mask and dispositions, limits, terminal,
// process group. All descriptors of the collector are close-on-exec.
#pragma once

#include <sys/resource.h>
#include <sys/types.h>

#include <filesystem>
#include <string>
#include <vector>

#include "collector/base/result.h"
#include "collector/ingest/signals.h"
#include "collector/options.h"

namespace leakhunt::supervise {

// libleakhunt.so: $LEAKHUNT_LIBRARY, else beside this program as installed (../lib) or built (../preload). Empty when
// there is none.
std::filesystem::path FindLibrary();

// FindLibrary's, where it can be preloaded into the program at `path`; else an error that says why nothing is recorded.
// `warning`: what is not recorded all the same, empty when nothing is: of a static program only its children are.
struct UsableLibrary {
  std::filesystem::path library;
  std::string warning;
};
Result<UsableLibrary> FindUsableLibrary(const std::string& path);

// What the options say of recording, as the library reads it from an environment: "LEAKHUNT_NAME=VALUE".
std::vector<std::string> RecordingVariables(const Options& options);

// The environment of a recorded command. `library` empty: only what children of a static program would need is left out
// too.
std::vector<std::string> RecordedEnvironment(const Options& options, const std::filesystem::path& library,
                                             const std::filesystem::path& socket);

// This process's environment as it is.
std::vector<std::string> PlainEnvironment();

struct Launch {
  std::string path;
  std::vector<std::string> arguments;
  std::vector<std::string> environment;
};

// The pid, or an error with exit code 126, 127 or 125. `descriptor_limit`: what the command gets as RLIMIT_NOFILE.
Result<pid_t> Start(const Launch& launch, const ingest::SignalSource& signals, const rlimit& descriptor_limit);

}  // namespace leakhunt::supervise
