// `leakhunt-collect --pid PID`: records a running process until it ends, --duration, or a signal.
#pragma once

#include "collector/base/result.h"
#include "collector/options.h"

namespace leakhunt::attach {

Result<int> RecordProcess(const Options& options);

}  // namespace leakhunt::attach
