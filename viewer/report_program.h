// leakhunt-report as a function: the program's main, the tests and the collector's HTTP API call the same one.
#pragma once

#include <iosfwd>
#include <string>
#include <vector>

#include "viewer/render/terminal.h"

namespace leakhunt::viewer {

// `arguments` without the program's name. Exit status: 0 done, 1 input cannot be read, 2 usage, 3 --fail-on met.
// Every error is one line "leakhunt-report: …" on `err`.
int RunReport(const std::vector<std::string>& arguments, std::ostream& out, std::ostream& err, const Terminal& terminal);

}  // namespace leakhunt::viewer
