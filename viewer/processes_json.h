// JSON of processes.
#pragma once

#include <string>
#include <vector>

#include "viewer/selection.h"

namespace leakhunt::viewer {

// "leakhunt/processes/1": one object a recording, in the order given.
std::string ProcessesJson(const std::vector<ListedProcess>& listed);

}  // namespace leakhunt::viewer
