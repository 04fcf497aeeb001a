// What stands above every report: which process, which snapshot, how it was recorded, what is missing.
#pragma once

#include <string>
#include <vector>

#include "viewer/loaded_report.h"

namespace leakhunt::viewer {

// "server[4242]  /opt/shop/bin/server --port 8080", "snapshot 3 of 5 …", "sampled …", one note for each loss.
std::vector<std::string> Preamble(const Loaded& loaded);

// How the process stands: "running", "exited with 0", "killed by signal 9 (Killed)", …
std::string EndText(const snapshot::ProcessInfo& process);
// A word as a shell takes it: in quotes where it needs them.
std::string ShellWord(const std::string& word);
// The command line on one line, arguments quoted where a shell would need it.
std::string CommandText(const snapshot::ProcessInfo& process);

}  // namespace leakhunt::viewer
