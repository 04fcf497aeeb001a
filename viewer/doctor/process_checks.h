// Why nothing is recorded of a process that runs.
#pragma once

#include "collector/base/result.h"
#include "viewer/doctor/symptom.h"

namespace leakhunt::viewer {

// Error: no such process.
Status CheckProcess(int pid, const std::string& library, Symptoms& symptoms);

}  // namespace leakhunt::viewer
