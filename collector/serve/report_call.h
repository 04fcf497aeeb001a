// Asking leakhunt-report: its answers are the API's answers.
//
// Runs the program beside this one, bounded in time and size; nothing of a request reaches a shell.
#pragma once

#include <string>
#include <vector>

#include "collector/base/result.h"

namespace leakhunt::serve {

// Standard output of `leakhunt-report ARGUMENTS`, or its complaint and exit status as the error.
Result<std::string> CallReport(const std::vector<std::string>& arguments);

}  // namespace leakhunt::serve
